"""What the layer costs in training: `python -m benchmarks.training [--write docs/performance.md]`.

Images a second of full training steps (training/loop.py: forward, backward, optimisers, constraint of the tables; bf16
autocast) with and without the layer, in turn in one process; a ratio is the median over rounds of the ratios within a
round. Wall-clock time: a step is waited for. With CUDA also the paper's table of latencies (its section 5).
"""

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.cases import pictures, table_sets
from benchmarks.layer import machine
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer, soft_quantize, soft_quantize_all_levels
from jpegdl.pairs.classifier import Classifier, build_classifier, table_layer
from jpegdl.pairs.recipe import Recipe
from jpegdl.training.data import Batch
from jpegdl.training.loop import constrain, make_optimizers, train_step

MARKS = ("<!-- training: begin -->", "<!-- training: end -->")
CLASSES = 100


@dataclasses.dataclass(frozen=True)
class Case:
    """One row: a network, its pictures, and by how much the layer may lengthen a step."""

    architecture: str
    pixels: int
    batch: int
    bar: float | None = None  # share of a step without the layer


CASES = {
    "cpu": (Case("resnet32", 32, 64), Case("resnet18", 224, 32, 0.15)),
    "cuda": (Case("resnet32", 32, 64, 0.10), Case("resnet18", 224, 128, 0.10)),
}


def layer(quantizer: Quantizer = soft_quantize) -> JPEGLayer:
    tables = next(table_sets(None))
    return JPEGLayer(tables.steps, tables.alpha, quantizer=quantizer)


def step_of(case: Case, codec: JPEGLayer | None, device: torch.device) -> Callable[[], object]:
    """A full training step on one batch that stays on the device."""
    recipe = Recipe(
        name="benchmark",
        dataset="none",
        architecture=case.architecture,
        input_size=case.pixels,
        epochs=1,
        batch_size=case.batch,
        learning_rate=1e-3,
        weight_decay=5e-4,
        table_learning_rate=1e-3,
    )
    model: Classifier = build_classifier(case.architecture, CLASSES, codec=codec)
    model.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # as in loop.py
    optimizers, tables = make_optimizers(model, recipe), table_layer(model)
    images = pictures((case.batch, 3, case.pixels, case.pixels)).to(device)
    labels = (torch.arange(case.batch) % CLASSES).to(device)
    batch = Batch(images, labels, case.batch)

    def step() -> None:
        train_step(model, optimizers, batch)
        if tables is not None:
            constrain(tables, recipe)

    return step


def seconds(runs: list[Callable[[], object]], rounds: int, repeats: int, device: torch.device) -> list[list[float]]:
    """Seconds of each run, round by round; the first round, which also warms up, does not count."""
    found = []
    for _ in range(rounds + 1):
        taken = []
        for run in runs:
            _wait(device)
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            _wait(device)
            taken.append((time.perf_counter() - start) / repeats)
        found.append(taken)
    return found[1:]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def training_row(case: Case, device: str, found: list[list[float]]) -> str:
    """`found`: rounds of (without, with the layer), seconds a step."""
    without, with_layer = (case.batch / statistics.median(times) for times in zip(*found, strict=True))
    cost = statistics.median(after / before for before, after in found) - 1
    met = case.bar is None or cost <= case.bar
    shown = f"{cost:+.1%}" if met else f"**{cost:+.1%} (missed {case.bar:.0%})**"
    size = f"{case.batch}×3×{case.pixels}×{case.pixels}"
    return f"| {device} | {case.architecture} | {size} | {without:.4g} | {with_layer:.4g} | {shown} |"


def training_table(devices: list[str], rounds: int) -> Iterator[str]:
    yield "| device | network | batch | images/s without | with the layer | the layer adds to a step |"
    yield "|---|---|---|---|---|---|"
    for name in devices:
        device, repeats = torch.device(name), 20 if name == "cuda" else 1
        for case in CASES[name]:
            runs = [step_of(case, codec, device) for codec in (None, layer())]
            yield training_row(case, name, seconds(runs, rounds, repeats, device))


def latency_table(rounds: int) -> Iterator[str]:
    """Milliseconds an image of ResNet-18 at 224 on the GPU, predicting: no layer, five levels, all levels."""
    device, count = torch.device("cuda"), 128
    images = pictures((count, 3, 224, 224)).to(device)
    codecs = {"no layer": None, "five levels": layer(), "all levels": layer(soft_quantize_all_levels)}

    def predictor(codec: JPEGLayer | None) -> Callable[[], Tensor]:
        model = build_classifier("resnet18", CLASSES, codec=codec).to(device).eval()
        return torch.inference_mode()(lambda: model(images))

    found = seconds([predictor(codec) for codec in codecs.values()], rounds, 20, device)
    yield "| ResNet-18, 224 px, float32, batch 128 | ms an image |"
    yield "|---|---|"
    for name, times in zip(codecs, zip(*found, strict=True), strict=True):
        yield f"| {name} | {1e3 * statistics.median(times) / count:.3g} |"


def report(rounds: int) -> Iterator[str]:
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    yield (
        f"Machine: {machine()}; {torch.get_num_threads()} threads; load {os.getloadavg()[0]:.1f} at the start; "
        f"{rounds} rounds; no CUDA graphs."
    )
    if "cuda" in devices:
        yield f"GPU: {torch.cuda.get_device_name()}."
    yield ""
    yield from training_table(devices, rounds)
    if "cuda" in devices:
        yield ""
        yield from latency_table(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch on the CPU")
    parser.add_argument("--write", type=Path, help="file in which the text between the two marks is replaced")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    lines = []
    for line in report(arguments.rounds):
        print(line, flush=True)
        lines.append(line)
    if arguments.write:
        head, rest = arguments.write.read_text(encoding="utf-8").split(MARKS[0])
        written = "\n".join([MARKS[0], "", *lines, ""])
        arguments.write.write_text(head + written + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")


if __name__ == "__main__":
    main()
