"""record and results: cards without weights, and docs/results.md from all cards."""

import argparse
import sys
from pathlib import Path

from jpegdl.analysis.results.report import results_markdown
from jpegdl.commands.options import Commands, add_threads
from jpegdl.pairs.card import card_to_json, without_weights
from jpegdl.pairs.checkpoints import load_pair, load_pairs, load_records


def add(commands: Commands) -> None:
    record = commands.add_parser("record", help="keep the card of a pair whose weights are not kept")
    record.set_defaults(run=_record)
    record.add_argument("pair", type=Path, help="folder of the pair")
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
    file = out / f"{card.name}-{card.input_size}px-{card.recipe.epochs}epochs.json"
    file.write_text(card_to_json(without_weights(card)), encoding="utf-8")
    return f"{file}: counts and tables of {card.name}"


def write_results(checkpoints: Path, records: Path, out: Path) -> str:
    """Write the results page from all cards; returns what was done, for people. What does not load is named."""
    pairs, refused = load_pairs(checkpoints)
    cards, odd = load_records(records)
    for error in (*refused.values(), *odd):
        print(f"left out: {error}", file=sys.stderr)
    out.write_text(results_markdown([pair.card for pair in pairs.values()], cards), encoding="utf-8")
    return f"{out}: {len(pairs)} pairs, {len(cards)} runs without weights"
