"""record and results: cards without weights, and docs/results.md from all cards."""

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from jpegdl.analysis.results.report import results_markdown
from jpegdl.commands.options import Commands, add_threads, pair_folder
from jpegdl.pairs.card import card_from_json, card_to_json, without_weights
from jpegdl.pairs.checkpoints import load_pair, load_pairs, load_records
from jpegdl.pairs.storage import read_text, write_file


def add(commands: Commands) -> None:
    record = commands.add_parser("record", help="keep the card of a pair whose weights are not kept")
    record.set_defaults(run=_record)
    record.add_argument("pair", type=pair_folder, help="folder of the pair")
    record.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of such cards")

    results = commands.add_parser("results", help="write docs/results.md from the cards")
    results.set_defaults(run=_results)
    results.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    results.add_argument("--records", type=Path, default=Path("docs/results"), help="cards without weights")
    results.add_argument("--out", type=Path, default=Path("docs/results.md"))

    for command in (record, results):
        add_threads(command)


def _record(arguments: argparse.Namespace) -> None:
    print(record_pair(arguments.pair, arguments.out))


def _results(arguments: argparse.Namespace) -> None:
    print(write_results(arguments.checkpoints, arguments.records, arguments.out))


def record_pair(pair: Path, out: Path) -> str:
    """Keep the card of the pair in the folder `out`; returns what was done, for people."""
    card = load_pair(pair).card
    out.mkdir(parents=True, exist_ok=True)
    file = record_file(out, card.name, card.input_size, card.recipe.epochs)
    check_record(file, card.seeds)
    write_file(file, card_to_json(without_weights(card)).encode())
    return f"{file}: counts and tables of {card.name}"


def record_file(folder: Path, name: str, input_size: int, epochs: int) -> Path:
    """Where the run of a recipe is recorded, whatever its seeds."""
    return folder / f"{name}-{input_size}px-{epochs}epochs.json"


def check_record(file: Path, seeds: Collection[int]) -> None:
    """Raises ValueError if a card of these seeds would take the place of one with others, or of what is no card."""
    if not file.exists():
        return
    try:
        lost = set(card_from_json(read_text(file)).seeds) - set(seeds)
    except ValueError as error:
        raise ValueError(f"{file} cannot be read as a card ({error}); move it away, then start again") from None
    if lost:
        names = " and ".join(str(seed) for seed in sorted(lost))
        raise ValueError(f"{file} holds seed {names}, which would be lost; train all seeds together, or move it away")


def write_results(checkpoints: Path, records: Path, out: Path) -> str:
    """Write the results page from all cards; returns what was done, for people. What does not load is named."""
    pairs, refused = load_pairs(checkpoints)
    cards, odd = load_records(records)
    for error in (*refused.values(), *odd):
        print(f"left out: {error}", file=sys.stderr)
    write_file(out, results_markdown([pair.card for pair in pairs.values()], cards).encode())
    return f"{out}: {len(pairs)} pairs, {len(cards)} runs without weights"
