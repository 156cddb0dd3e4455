"""evaluate: right answers of both arms counted again, and every input to both networks; or their maps."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from jpegdl.analysis.grid import evaluate_grid
from jpegdl.commands.maps import add_options, measure_maps
from jpegdl.commands.options import Commands, add_device, pair_folder
from jpegdl.commands.progress import minutely
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import change_card, load_pair
from jpegdl.training.pair import measure
from jpegdl.training.settings import dataset_of
from jpegdl.training.sources import all_at_once, prepared


def add(commands: Commands) -> None:
    evaluate = commands.add_parser("evaluate", help="count right answers again, and for every input to both networks")
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("pair", type=pair_folder, help="folder of the pair")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of the data set")
    add_options(evaluate)
    add_device(evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    if arguments.maps:
        measure_maps(arguments)
        return
    before, device = load_pair(arguments.pair).card, torch.device(arguments.device)
    dataset = dataset_of(before, arguments.data)
    tell = minutely()
    card = measure(arguments.pair, dataset, device, lambda what, done: tell(f"{done} {what}"))
    print(_counts(card))
    print("The counts equal the card's." if card.results == before.results else "The card's counts were replaced.")
    if card.place == "input":
        pair = load_pair(arguments.pair, device)
        images, labels = all_at_once(prepared(dataset.test, card.input_size, card.short_side))
        of = len(labels)
        grid = evaluate_grid(
            pair, images, labels, tell=lambda done: tell(f"{done} of {of} pictures given to both networks")
        )
        change_card(arguments.pair, pair.card, lambda card: replace(card, grid=grid))
        print("The inputs to both networks are in the card; `python -m jpegdl results` shows them.")


def _counts(card: PairCard) -> str:
    return "\n".join(
        f"{name}: n {c.n}, both {c.both}, only baseline {c.only_baseline}, only JPEG-DL {c.only_jpegdl}, "
        f"neither {c.neither}"
        for name, c in card.results.items()
    )
