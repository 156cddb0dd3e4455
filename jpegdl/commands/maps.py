"""evaluate --maps: do both networks' maps lie on the object, and do the networks need what the maps mark?"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from jpegdl.analysis.map_study import Subject, box_in_square, study, study_curves
from jpegdl.analysis.results.map_numbers import AREA, NUMBER
from jpegdl.analysis.results.maps import maps_section
from jpegdl.commands.options import count
from jpegdl.commands.pieces import keep, pieces_in
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair, change_card, load_pair
from jpegdl.pairs.measured import Measured, Numbers
from jpegdl.pairs.pictures import read_picture
from jpegdl.pairs.prepare import crop, prepare
from jpegdl.training.boxes import boxes_of_test
from jpegdl.training.data import equally_spaced
from jpegdl.training.settings import dataset_of

AT_ONCE = 16  # pictures in a piece
STAGES = 2  # so many of the architecture's, the last ones
MOST_STEPS = 20
SEED = 0

Columns = dict[str, list[float]]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--maps", action="store_true", help="do the maps lie on the object? goes on where it stopped")
    parser.add_argument("--limit", type=count, help="of --maps: so many test pictures, spread evenly; without it, all")
    parser.add_argument("--curves", type=count, default=400, help="of --maps: pictures with deletion and insertion")
    parser.add_argument("--steps", type=count, default=10, help=f"of deletion and insertion, at most {MOST_STEPS}")


def measure_maps(arguments: argparse.Namespace) -> None:
    """Measure in pieces, each kept as it is done, and put all of them into the pair's card."""
    pair = load_pair(arguments.pair, arguments.device)
    subject, pictures = _subjects(pair, arguments.data)
    if arguments.steps > MOST_STEPS:
        raise ValueError(f"--steps must be at most {MOST_STEPS}, got {arguments.steps}")
    limit, curves = (min(wanted or pictures, pictures) for wanted in (arguments.limit, arguments.curves))
    settings = {"pictures": limit, "curves": curves, "steps": arguments.steps, "seed": SEED}
    plan = [
        *(("maps", some) for some in spread(pictures, limit)),
        *(("curves", some) for some in spread(pictures, curves)),
    ]
    state = arguments.pair.with_name(f".{arguments.pair.name}.maps")
    weights = [file.sha256 for file in (pair.card.weights or {}).values()]
    pieces: list[Columns]
    with pieces_in(state, settings | {"weights": weights}) as pieces:
        for number, (kind, numbers) in enumerate(plan[len(pieces) :], len(pieces) + 1):
            pieces.append(_measure(pair, kind, [subject(one) for one in numbers], arguments.steps))
            keep(state, pieces[-1])
            print(f"{number} of {len(plan)} pieces done", flush=True)
        measured = Measured(settings=settings, arrays=packed(pieces))
        change_card(arguments.pair, pair.card, lambda card: replace(card, maps=measured))
    print(maps_section(measured))


def _measure(pair: ModelPair, kind: str, subjects: Sequence[Subject], steps: int) -> Columns:
    stages = list(architecture(pair.card.architecture).stages)[-STAGES:]
    if kind == "curves":
        return study_curves(pair, subjects, stage=stages[-1], steps=steps, seed=SEED)
    facts = {NUMBER: [float(one.number) for one in subjects], AREA: [one.box.area for one in subjects]}
    return facts | study(pair, subjects, stages=stages, seed=SEED)


def packed(pieces: Sequence[Columns]) -> dict[str, Numbers]:
    """The columns of all pieces, each joined and as small as it may be."""
    columns: Columns = {}
    for piece in pieces:
        for name, values in piece.items():
            columns.setdefault(name, []).extend(values)
    return {name: Numbers.of(values, "float32" if name == NUMBER else "float16") for name, values in columns.items()}


def _subjects(pair: ModelPair, folder: Path) -> tuple[Callable[[int], Subject], int]:
    """Number of a test picture -> the picture as the networks see it, with its box; and how many there are."""
    card = pair.card
    test, boxes = dataset_of(card, folder).test, boxes_of_test(card.dataset.name, folder)
    if len(test) != len(boxes):
        raise ValueError(f"{folder} holds {len(test)} test pictures and {len(boxes)} boxes; unpack the data set again")

    def subject(number: int) -> Subject:
        picture = read_picture(test.pictures[number]).image
        box = box_in_square(*boxes[number], crop(*picture.size, card.input_size, card.short_side))
        square = prepare(picture, card.input_size, card.short_side).permute(1, 2, 0).numpy()
        return Subject(number, square, test.labels[number], box)

    return subject, len(test)


def spread(count: int, wanted: int) -> Iterator[list[int]]:
    """`wanted` of `count` numbers at equal distances, in pieces."""
    chosen = equally_spaced(count, wanted)
    yield from (chosen[start : start + AT_ONCE] for start in range(0, wanted, AT_ONCE))
