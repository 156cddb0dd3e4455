"""Entry point of the Space and of `make demo`: load the pairs, build the page, serve it."""

from jpegdl.server.environment import prepare_environment
from jpegdl.server.memory import collect_from_here_on, stop_collecting

prepare_environment()
if __name__ == "__main__":
    stop_collecting()

from jpegdl.server.zerogpu import ON_ZEROGPU, gpu  # before torch

# isort: split
import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from jpegdl.analysis.request import Answer, Request, answer
from jpegdl.pairs.checkpoints import ModelPair, load_pairs
from jpegdl.pairs.cores import cpu_cores
from jpegdl.server.decoding import Decoders
from jpegdl.server.ports import free_port
from jpegdl.server.serving import serve
from jpegdl.server.stopping import exit_on_sigterm
from jpegdl.training.draws import make_draw
from jpegdl.ui.api import Draw
from jpegdl.ui.page import build_page

ROOT = Path(__file__).parent
DEVICE = "cuda" if ON_ZEROGPU or torch.cuda.is_available() else "cpu"
PAIRS: dict[str, ModelPair] = {}  # filled once, before the first visitor; a ZeroGPU worker inherits it


@gpu
def run(request: Request) -> Answer:
    """Everything of one comparison that runs a network; on ZeroGPU this is the part that has the GPU."""
    return answer(PAIRS, request)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve JPEG-DL Explorer; the address is printed.")
    parser.add_argument("--checkpoints", type=Path, default=ROOT / "checkpoints", help="folder of the pairs")
    parser.add_argument("--data", type=Path, help="folder of a pair's data set: offers random test pictures of it")
    arguments = parser.parse_args()
    exit_on_sigterm()
    free_port()
    torch.set_num_threads(cpu_cores())
    pairs, refused = load_pairs(arguments.checkpoints, DEVICE)
    PAIRS.update(pairs)
    draws = make_draws(arguments.data) if arguments.data else {}
    decoders = Decoders((pair.card.input_size, pair.card.short_side) for pair in PAIRS.values())
    with ThreadPoolExecutor(1) as pool:  # as for visitors: a thread's first pass takes memory
        seconds = pool.submit(seconds_per_analysis).result()
    page = build_page(PAIRS, refused, run, draws=draws, first=not ON_ZEROGPU, decoders=decoders)
    collect_from_here_on()
    serve(
        page.demo,
        seconds_per_analysis=seconds,
        files=page.files,
        decoders=decoders,
        is_remembered=page.is_remembered,
    )


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
    """The fastest of several on a grey picture; a guess where a GPU is lent only to visitors."""
    names = [name for name, pair in PAIRS.items() if pair.card.place == "input"]
    if ON_ZEROGPU or not names:
        return 1.0
    size = PAIRS[names[0]].card.input_size
    grey = torch.full((size, size, 3), 128, dtype=torch.uint8).numpy()
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        run(Request(pair=names[0], square=grey))
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
