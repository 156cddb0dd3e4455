"""compare: one picture through both networks of a pair; its panels and numbers as files, those of the page's API."""

import argparse
import json
from pathlib import Path

from jpegdl.analysis.compression import QUANTIZERS
from jpegdl.analysis.numbers import answer_numbers
from jpegdl.analysis.panels import learned_file, panels
from jpegdl.analysis.request import Answer, answer, make_request
from jpegdl.commands.options import Commands, add_device, pair_folder
from jpegdl.pairs.checkpoints import load_pair
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.pictures import read_picture

NUMBERS = "numbers.json"


def add(commands: Commands) -> None:
    compare = commands.add_parser("compare", help="one picture through both networks: maps, pictures and numbers")
    compare.set_defaults(run=_compare)
    compare.add_argument("picture", type=Path, help="picture file")
    compare.add_argument("--pair", type=pair_folder, required=True, help="folder of the pair")
    compare.add_argument("--out", type=Path, required=True, help=f"folder for the pictures and {NUMBERS}")
    compare.add_argument(
        "--target", default="shared", help="class to explain, or shared (default), true, own: as in the API"
    )
    compare.add_argument("--true-class", help="class that the picture shows")
    compare.add_argument("--stage", help="stage to explain; the last by default")
    compare.add_argument("--quantizer", default="five levels", help=f"one of: {', '.join(QUANTIZERS)}")
    add_device(compare)


def _compare(arguments: argparse.Namespace) -> None:
    read, pair = read_picture(arguments.picture), load_pair(arguments.pair, arguments.device)
    request = make_request(
        pair.card,
        read.image,
        target=arguments.target,
        true_class=arguments.true_class,
        stage=arguments.stage,
        quantizer=arguments.quantizer,
    )
    found = answer({pair.card.name: pair}, request)
    file = learned_file(pair, found)
    numbers = json.dumps(answer_numbers(pair, found, file), indent=1, ensure_ascii=False, allow_nan=False)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, data in {**panels(found, file), NUMBERS: f"{numbers}\n".encode()}.items():  # the numbers last
        (arguments.out / name).write_bytes(data)
    print("\n".join([*read.notes, *_said(found, pair.card.class_names), f"Written to {arguments.out}."]))


def _said(found: Answer, names: tuple[str, ...]) -> list[str]:
    """One line an arm: its answer, and how sure it is."""
    firsts = found.firsts
    return [f"{arm}: {names[firsts[arm]]} ({found.probabilities[arm][firsts[arm]]:.1%})" for arm in ARMS]
