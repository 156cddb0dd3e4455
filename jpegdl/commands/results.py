"""record and results: cards without weights, and docs/results.md from all cards."""

import argparse
import sys
from pathlib import Path

from jpegdl.analysis.results.report import results_markdown
from jpegdl.commands.options import Commands, add_threads
from jpegdl.pairs.card import card_from_json, card_to_json, without_weights
from jpegdl.pairs.checkpoints import load_pair, load_pairs


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
    pair = load_pair(arguments.pair)
    arguments.out.mkdir(parents=True, exist_ok=True)
    card = pair.card
    file = arguments.out / f"{card.name}-{card.input_size}px-{card.recipe.epochs}epochs.json"
    file.write_text(card_to_json(without_weights(card)), encoding="utf-8")
    print(f"{file}: counts and tables of {card.name}")


def _results(arguments: argparse.Namespace) -> None:
    pairs, refused = load_pairs(arguments.checkpoints)
    for error in refused.values():
        print(f"left out: {error}", file=sys.stderr)
    records = [card_from_json(path.read_text(encoding="utf-8")) for path in sorted(arguments.records.glob("*.json"))]
    arguments.out.write_text(results_markdown([pair.card for pair in pairs.values()], records), encoding="utf-8")
    print(f"{arguments.out}: {len(pairs)} pairs, {len(records)} runs without weights")
