"""What a GPU makes of all this: `python -m benchmarks.gpu [--write docs/performance.md]`, on any machine with CUDA.

The whole test suite with its pairs on the GPU; then, in turn in one process and waiting for the GPU each time, the
layer against a plain one, the Triton window against PyTorch, full training steps, the paper's table of latencies (its
section 5), and one comparison in its parts. A ratio is the median over rounds of the ratios within a round.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.analysis import PICTURE, compare, forward, payload
from benchmarks.cases import pictures, table_sets, way, write_between
from benchmarks.layer import SHAPES
from benchmarks.reference import PlainLayer
from benchmarks.training import CASES, CLASSES, layer, seconds, training_table
from jpegdl.analysis.compression import compress
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import soft_quantize_all_levels
from jpegdl.codec.window import window_derivatives, window_value
from jpegdl.pairs.checkpoints import ModelPair, load_pairs
from jpegdl.pairs.classifier import ARMS, build_classifier
from jpegdl.pairs.prepare import prepare, to_unit

ROOT = Path(__file__).parents[1]
MARKS = ("<!-- gpu: begin -->", "<!-- gpu: end -->")
NONE = "There is no GPU that torch can use here, so nothing was measured; run this on a machine with CUDA."


def tests_on(device: str) -> str:
    """The last line of the whole test suite, with pairs that name no place on `device`."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header"]
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "JPEGDL_TEST_DEVICE": device}, capture_output=True, text=True, check=False
    )
    failed = [line.split(" - ")[0] for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "; ".join([(run.stdout.strip().splitlines() or ["no output"])[-1].strip("= "), *failed])


def ratios(found: Sequence[Sequence[float]]) -> list[float]:
    """How many times faster than the first each of the others is."""
    return [statistics.median(times[0] / times[number] for times in found) for number in range(1, len(found[0]))]


def layer_table(device: torch.device, rounds: int, repeats: int, shapes: Sequence[tuple[int, ...]]) -> Iterator[str]:
    """Times faster than the plain layer: in PyTorch, with the Triton window, all levels, and one pass of torch."""
    tables = next(table_sets(None))
    layers = [PlainLayer(tables.steps, tables.alpha), layer(), layer(), layer(soft_quantize_all_levels)]
    layers = [module.to(device) for module in layers]
    ways = ("PyTorch", "PyTorch", "fused", "fused")
    yield "| images | pass | PyTorch | Triton window | all levels | a subtraction |"
    yield "|---|---|---|---|---|---|"
    for shape in shapes:
        images = pictures(shape).to(device)
        upstream = torch.ones_like(images)

        def one(module: torch.nn.Module, name: str, backward: bool, x: Tensor = images, up: Tensor = upstream) -> None:
            with way(name), torch.set_grad_enabled(backward):
                result = module(x.detach().requires_grad_(backward))
                if backward:
                    result.backward(up)

        for backward in (False, True):
            runs: list[Callable[[], object]] = [
                partial(one, module, name, backward) for module, name in zip(layers, ways, strict=True)
            ]
            runs += [partial(torch.sub, images, 0.45)] if not backward else []
            found = [f"{ratio:.3g}×" for ratio in ratios(seconds(runs, rounds, repeats, device))]
            cells = ["×".join(map(str, shape)), "forward + backward" if backward else "forward", *found]
            yield "| " + " | ".join([*cells, "–"][:6]) + " |"


def window_table(rounds: int, blocks: int = 128 * 28 * 28) -> Iterator[str]:
    """The Triton window alone against PyTorch's on the GPU, and how far apart they are."""
    from jpegdl.codec.window_gpu import window_derivatives_gpu, window_value_gpu

    device, tables = torch.device("cuda"), next(table_sets(None))
    step, alpha = (t[[0, 1, 1]].reshape(-1, 1).to(device) for t in (tables.steps, tables.alpha))
    case = (torch.randn(len(step), blocks, device=device) * 40, step, alpha, 127)
    yield "| window, 192 rows | Triton is faster | largest difference, steps |"
    yield "|---|---|---|"
    contenders: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "value": (partial(window_value, *case), partial(window_value_gpu, *case)),
        "derivatives": (
            partial(window_derivatives, *case, by_alpha=False),
            partial(window_derivatives_gpu, *case, by_alpha=False),
        ),
    }
    for name, runs in contenders.items():
        (ratio,) = ratios(seconds(list(runs), rounds, 20, device))
        first, second = (run()[0] if name == "derivatives" else run() for run in runs)
        yield f"| {name} | {ratio:.3g}× | {((first - second).abs() / step).max().item():.2g} |"


def latency_table(device: torch.device, rounds: int, repeats: int, count: int, size: int) -> Iterator[str]:
    """Milliseconds an image of ResNet-18, predicting: no layer, five levels, all levels."""
    images = pictures((count, 3, size, size)).to(device)
    codecs = {"no layer": None, "five levels": layer(), "all levels": layer(soft_quantize_all_levels)}

    def predictor(codec: JPEGLayer | None) -> Callable[[], Tensor]:
        model = build_classifier("resnet18", CLASSES, codec=codec).to(device).eval()
        return torch.inference_mode()(lambda: model(images))

    found = seconds([predictor(codec) for codec in codecs.values()], rounds, repeats, device)
    yield f"| ResNet-18, {size} px, float32, batch {count} | ms an image | of no layer |"
    yield "|---|---|---|"
    for number, name in enumerate(codecs):
        shown = 1e3 * statistics.median(times[number] for times in found) / count
        yield f"| {name} | {shown:.3g} | {statistics.median(times[number] / times[0] for times in found):.2f}× |"


def comparison_table(pair: ModelPair, rounds: int, device: torch.device) -> Iterator[str]:
    """One comparison in its parts, wall-clock time."""
    picture = Image.open(PICTURE).convert("RGB")
    square = prepare(picture, pair.card.input_size, pair.card.short_side)
    image = to_unit(square)[None].to(device)
    answer = compare(pair, picture)
    parts: dict[str, Callable[[], object]] = {
        "both plain forward passes": partial(forward, {arm: pair.arm(arm) for arm in ARMS}, image),
        "scaling and cropping": partial(prepare, picture, pair.card.input_size, pair.card.short_side),
        "to the GPU": lambda: to_unit(square)[None].to(device),
        "the layer and what it did": partial(compress, pair.codec, image, "five levels"),
        "answer: both arms and their maps": partial(compare, pair, picture),
        "payload for the browser": partial(payload, pair, answer, picture),
    }
    found = seconds(list(parts.values()), rounds, 1, device)
    yield f"| one comparison, {pair.card.name} | ms | of both forward passes |"
    yield "|---|---|---|"
    for number, name in enumerate(parts):
        shown = 1e3 * statistics.median(times[number] for times in found)
        yield f"| {name} | {shown:.3g} | {statistics.median(times[number] / times[0] for times in found):.2f}× |"


def report(rounds: int) -> Iterator[str]:
    device, card = torch.device("cuda"), torch.cuda.get_device_properties(0)
    yield (
        f"{card.name}, {card.total_memory / 2**30:.0f} GiB, torch {torch.__version__}, CUDA {torch.version.cuda}; "
        f"{rounds} rounds, wall-clock time, no CUDA graphs."
    )
    yield from ("", f"The test suite with pairs on the GPU: {tests_on('cuda')}.", "")
    yield from ("Times faster than the plain layer on the same GPU, hardness 2:", "")
    yield from layer_table(device, rounds, 20, SHAPES)
    yield ""
    yield from window_table(rounds)
    yield ""
    yield from training_table(device, rounds, CASES["cuda"])
    yield ""
    yield from latency_table(device, rounds, 20, 128, 224)
    for pair in load_pairs(ROOT / "checkpoints", device)[0].values():
        yield ""
        yield from comparison_table(pair, rounds, device)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="file in which the text between the two marks is replaced")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(NONE)
    lines = []
    for line in report(arguments.rounds):
        print(line, flush=True)
        lines.append(line)
    if arguments.write:
        write_between(MARKS, lines, arguments.write)


if __name__ == "__main__":
    main()
