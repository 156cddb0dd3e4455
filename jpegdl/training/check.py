"""Every picture of a data set decoded once before training begins: hours later is too late to hear of a damaged one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jpegdl.pairs.cores import cpu_cores
from jpegdl.pairs.pictures import Picture, Unreadable, read_picture
from jpegdl.training.data import Dataset

_AT_ONCE = 256  # pictures given out at a time, so that few decoded ones wait


def refuse_damaged(dataset: Dataset, tell: Callable[[int, int], None] = lambda done, of: None) -> None:
    """Decode all pictures of all parts, on all cores; `tell` hears how many of how many are done.

    Raises Unreadable, one sentence that names the first damaged picture and says how many more there are.
    """
    everything = [item for part in (dataset.train, dataset.validation, dataset.test) for item in part.pictures]
    files = [item for item in everything if not isinstance(item, np.ndarray)]
    damaged: list[str] = []
    for done, sentence in enumerate(_decoded(files), 1):
        if sentence:
            damaged.append(sentence)
        tell(done, len(files))
    if damaged:
        others = f"; so are {len(damaged) - 1} others" if len(damaged) > 1 else ""
        raise Unreadable(damaged[0] + others)


def _decoded(files: Sequence[Picture]) -> Iterator[str | None]:
    """For each file what is wrong with it, or nothing, in their order."""
    with ThreadPoolExecutor(cpu_cores()) as pool:
        for start in range(0, len(files), _AT_ONCE):
            yield from pool.map(_wrong, files[start : start + _AT_ONCE])


def _wrong(item: Picture) -> str | None:
    try:
        read_picture(item)
    except Unreadable as error:
        return str(error)
    return None
