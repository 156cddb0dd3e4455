"""record and results: cards without weights, and docs/results.md from all cards."""

import argparse
import sys
from pathlib import Path

from jpegdl.analysis.results.report import results_markdown
from jpegdl.commands.options import Commands, add_threads, pair_folder
from jpegdl.pairs.card import PairCard, card_from_json, card_to_json, without_weights
from jpegdl.pairs.checkpoints import change_card, load_pair, load_pairs, load_records
from jpegdl.pairs.seeds import Trained, differing, joined, seeds_text, summary, with_seeds
from jpegdl.pairs.storage import read_text, write_file


def add(commands: Commands) -> None:
    record = commands.add_parser("record", help="keep the card of a pair whose weights are not kept")
    record.set_defaults(run=_record)
    record.add_argument("pair", type=pair_folder, help="folder of the pair")
    place = record.add_mutually_exclusive_group()
    place.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of such cards")
    place.add_argument("--to", type=pair_folder, help="a pair to whose card the seeds are added instead")

    results = commands.add_parser("results", help="write docs/results.md from the cards")
    results.set_defaults(run=_results)
    results.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    results.add_argument("--records", type=Path, default=Path("docs/results"), help="cards without weights")
    results.add_argument("--out", type=Path, default=Path("docs/results.md"))

    for command in (record, results):
        add_threads(command)


def _record(arguments: argparse.Namespace) -> None:
    if arguments.to:
        print(join_pair(arguments.pair, arguments.to))
    else:
        print(record_pair(arguments.pair, arguments.out))


def _results(arguments: argparse.Namespace) -> None:
    print(write_results(arguments.checkpoints, arguments.records, arguments.out))


def record_pair(pair: Path, out: Path) -> str:
    """Keep the card of the pair in the folder `out`, beside the other seeds on record; returns what was done."""
    card = load_pair(pair).card
    out.mkdir(parents=True, exist_ok=True)
    file = record_file(out, card.name, card.input_size, card.recipe.epochs)
    if present := read_record(file):
        check_same(file, present, card)
        card = joined(present, card)
    write_file(file, card_to_json(without_weights(card)).encode())
    return f"{file}: counts and tables of {card.name}, {seeds_text(card.seeds)}"


def join_pair(run: Path, pair: Path) -> str:
    """Add the seeds of a run to the card of a pair whose weights stay; returns what was done, for people."""
    more, present = load_pair(run).card, load_pair(pair).card
    check_same(pair, present, more)
    if set(more.seeds) <= {present.seed}:
        raise ValueError(f"{run} has no seed but {present.seed}, that of {pair}; there is nothing to add")
    card = change_card(pair, present, lambda card: with_seeds(card, [summary(more), *more.other_seeds]))
    return f"{pair}: {seeds_text(card.seeds)}; the weights are those of seed {card.seed}"


def record_file(folder: Path, name: str, input_size: int, epochs: int) -> Path:
    """Where the run of a recipe is recorded, whatever its seeds."""
    return folder / f"{name}-{input_size}px-{epochs}epochs.json"


def check_same(place: Path, present: Trained, run: Trained) -> None:
    """Raises ValueError for a run that cannot be kept beside what is in `place`, because more than seeds differ."""
    if odd := differing(present, run):
        raise ValueError(f"{place} holds a run with another {', '.join(odd)}; move it away, or choose another place")


def read_record(file: Path) -> PairCard | None:
    """The card in the file, or None without one. Raises ValueError for what is no card."""
    if not file.exists():
        return None
    try:
        return card_from_json(read_text(file))
    except ValueError as error:
        raise ValueError(f"{file} cannot be read as a card ({error}); move it away, then start again") from None


def write_results(checkpoints: Path, records: Path, out: Path) -> str:
    """Write the results page from all cards; returns what was done, for people. What does not load is named."""
    pairs, refused = load_pairs(checkpoints)
    cards, odd = load_records(records)
    for error in (*refused.values(), *odd):
        print(f"left out: {error}", file=sys.stderr)
    if not pairs and not cards:
        raise ValueError(f"neither {checkpoints} nor {records} holds a card that can be read, so {out} stays as it is")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, results_markdown([pair.card for pair in pairs.values()], cards).encode())
    return f"{out}: {len(pairs)} pairs, {len(cards)} runs without weights"
