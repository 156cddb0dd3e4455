"""What the layer costs in training on the CPU: `python -m benchmarks.training [--write docs/performance.md]`.

Full training steps (training/loop.py: forward, backward, optimisers, constraint of the tables; bf16 autocast) with and
without the layer, in turn in one process; told is the median over rounds of the ratios within a round. Wall-clock time.
"""

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.cases import pictures, table_sets, write_between
from benchmarks.layer import machine
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer, soft_quantize
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
    """`found`: rounds of (without, with the layer), seconds a step.

    Only ratios within a round are told: throughputs of different rounds say more of the machine than of the layer.
    """
    costs = sorted(after / before - 1 for before, after in found)
    cost = statistics.median(costs)
    met = case.bar is None or cost <= case.bar
    shown = f"{cost:+.1%}" if met else f"**{cost:+.1%} (missed {case.bar:.0%})**"
    size = f"{case.batch}×3×{case.pixels}×{case.pixels}"
    return f"| {device} | {case.architecture} | {size} | {shown} | {costs[0]:+.1%} to {costs[-1]:+.1%} |"


def training_table(device: torch.device, rounds: int, cases: tuple[Case, ...]) -> Iterator[str]:
    yield "| device | network | batch | the layer adds to a step | in single rounds |"
    yield "|---|---|---|---|---|"
    for case in cases:
        runs = [step_of(case, codec, device) for codec in (None, layer())]
        yield training_row(case, device.type, seconds(runs, rounds, 20 if device.type == "cuda" else 1, device))


def report(rounds: int) -> Iterator[str]:
    yield (
        f"Machine: {machine()}; {torch.get_num_threads()} threads; load {os.getloadavg()[0]:.1f} at the start; "
        f"{rounds} rounds."
    )
    yield ""
    yield from training_table(torch.device("cpu"), rounds, CASES["cpu"])


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
        write_between(MARKS, lines, arguments.write)


if __name__ == "__main__":
    main()
