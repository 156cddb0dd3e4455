"""The validation part: taken out of training by a seed, where a data set has none of its own."""

from collections import Counter

from jpegdl.training.data import Examples, hold_out

SPLIT_SEED = 17
TENTH = f"validation: a tenth of each class of train, at least one, drawn by seed {SPLIT_SEED}"


def with_validation(examples: Examples, *, one_in: int = 10) -> tuple[Examples, Examples]:
    """Training examples -> (the rest, a seeded 1/one_in of each class, rounded down, at least one picture)."""
    counts = Counter(examples.labels)
    if not counts or min(counts.values()) < 2:
        raise ValueError("every class needs at least two training pictures, one of them for validation")
    return hold_out(examples, lambda count: max(1, count // one_in), SPLIT_SEED)
