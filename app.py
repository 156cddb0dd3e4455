"""Entry point of the Space and of `make demo`: load the pairs, build the page, serve it."""

from jpegdl.server.environment import prepare_environment

prepare_environment()

from jpegdl.server.zerogpu import ON_ZEROGPU, gpu  # before torch

# isort: split
import argparse
import time
from pathlib import Path

import torch

from jpegdl.analysis.compression import QuantizerName
from jpegdl.analysis.picture import PictureComparison, compare_picture
from jpegdl.analysis.request import Answer, Request, Target, answer
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import CheckpointError, ModelPair, load_pairs
from jpegdl.server.serving import serve
from jpegdl.training.draws import make_draw
from jpegdl.ui.events import Draw
from jpegdl.ui.menus import best_illustrated_first
from jpegdl.ui.page import CSS, FILES, build_demo

ROOT = Path(__file__).parent
DEVICE = "cuda" if ON_ZEROGPU or torch.cuda.is_available() else "cpu"
PAIRS: dict[str, ModelPair] = {}  # filled once, before the first visitor; a ZeroGPU worker inherits it


@gpu
def run(request: Request) -> Answer:
    """Everything of one comparison that runs a network; on ZeroGPU this is the part that has the GPU."""
    return answer(PAIRS, request)


def analyse(pair: str, square: torch.Tensor, target: Target, stage: str, quantizer: QuantizerName) -> PictureComparison:
    """Everything of one comparison that runs a network; on ZeroGPU this is the part that has the GPU."""
    return compare_picture(PAIRS[pair], square, target, stage=stage, quantizer=quantizer)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve JPEG-DL Explorer; the address is printed.")
    parser.add_argument("--checkpoints", type=Path, default=ROOT / "checkpoints", help="folder of the pairs")
    parser.add_argument("--data", type=Path, help="folder of a pair's data set: offers random test pictures of it")
    arguments = parser.parse_args()
    pairs, refused = load_pairs(arguments.checkpoints, DEVICE)
    for name, card in [(name, pair.card) for name, pair in pairs.items()]:
        if (card.place, card.quantizer) != ("input", "five levels"):
            del pairs[name]
            refused[name] = CheckpointError(f"{name}: the page shows layers of five levels at the input, no others.")
    PAIRS.update(best_illustrated_first(pairs))
    draws = make_draws(arguments.data) if arguments.data else {}
    demo = build_demo(PAIRS, refused, analyse, draws=draws)
    serve(demo, seconds_per_analysis=seconds_per_analysis(), files=FILES, css_paths=CSS)


def make_draws(folder: Path) -> dict[str, Draw]:
    """How to draw a test picture of each pair whose data set is in `folder`. Ends the program if none is."""
    draws: dict[str, Draw] = {}
    reasons = []
    for name, pair in PAIRS.items():
        try:
            draws[name] = make_draw(pair.card.dataset.name, folder)
        except ValueError as error:
            reasons.append(str(error))
    if not draws:
        raise SystemExit("; ".join(reasons) or "There is no pair to draw pictures for.")
    return draws


def seconds_per_analysis() -> float:
    """Measured on a grey picture, after one for warming up; a guess where a GPU is lent only to visitors."""
    if ON_ZEROGPU or not PAIRS:
        return 1.0
    name, pair = next(iter(PAIRS.items()))
    grey = torch.full((3, pair.card.input_size, pair.card.input_size), 128, dtype=torch.uint8)
    for _ in range(2):
        started = time.perf_counter()
        analyse(name, grey, "shared", architecture(pair.card.architecture).default_stage, "five levels")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
