"""prove: does a pair answer as it did when it was measured? And the answers by which that is told."""

import argparse
from dataclasses import replace
from functools import partial

from jpegdl.commands.options import Commands, add_threads, pair_folder
from jpegdl.pairs.checkpoints import change_card, load_pair, prove
from jpegdl.pairs.proof import make_proof


def add(commands: Commands) -> None:
    command = commands.add_parser("prove", help="compare pairs with the answers in their cards, or write these there")
    command.set_defaults(run=_prove)
    command.add_argument("pairs", type=pair_folder, nargs="+", metavar="PAIR", help="folder of a pair")
    add_threads(command)


def _prove(arguments: argparse.Namespace) -> None:
    for folder in arguments.pairs:
        pair = load_pair(folder)
        if pair.card.proof is None:
            answers = make_proof(pair.baseline, pair.jpegdl, pair.card.input_size)
            change_card(folder, pair.card, partial(replace, proof=answers))
            print(f"{folder}: its first answers are in the card now")
        else:
            prove(pair)
            print(f"{folder}: answers as when it was measured")
