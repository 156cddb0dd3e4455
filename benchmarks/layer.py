"""How fast and how small the JPEG layer is, against a plain one: `python -m benchmarks.layer [--write FILE]`.

Process CPU time with one thread, wall-clock time with two. All contenders of a row are measured in turn in one process;
a ratio is the median over rounds of the ratios within a round. Peak memory is measured in processes of its own.
"""

import argparse
import ctypes
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.cases import WAYS, Tables, pictures, table_sets, way, write_between
from benchmarks.reference import PlainLayer
from jpegdl.codec import kernel
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import soft_quantize, soft_quantize_all_levels

SHAPES = ((1, 3, 224, 224), (16, 3, 224, 224), (128, 3, 32, 32))
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")


def seconds(
    contenders: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> list[dict[str, float]]:
    """Seconds of each contender, round by round; short ones are repeated until they take 20 ms."""

    def timed(name: str, repeats: int) -> float:
        with way(name.split(",")[0]):
            start = clock()
            for _ in range(repeats):
                contenders[name]()
            return (clock() - start) / repeats

    repeats = {}
    for name in contenders:
        timed(name, 1)
        repeats[name] = max(1, min(50, round(0.02 / max(timed(name, 1), 1e-6))))
    return [{name: timed(name, count) for name, count in repeats.items()} for _ in range(rounds)]


def contenders(tables: Tables, images: Tensor, backward: bool) -> dict[str, Callable[[], object]]:
    """Name -> one pass: plain, both ways of the layer with five and with all levels, and a torch normalise."""
    layers: dict[str, torch.nn.Module] = {"plain": PlainLayer(tables.steps, tables.alpha)}
    for name, quantizer in (("", soft_quantize), (", all levels", soft_quantize_all_levels)):
        layers |= {w + name: JPEGLayer(tables.steps, tables.alpha, quantizer=quantizer) for w in WAYS}

    def both(layer: torch.nn.Module) -> None:
        layer(images.detach().requires_grad_()).backward(upstream)

    upstream = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    passes: dict[str, Callable[[], object]] = {
        name: partial(both, layer) if backward else partial(layer, images) for name, layer in layers.items()
    }
    if kernel.load() is None:
        passes = {n: p for n, p in passes.items() if not n.startswith("fused")}
    if not backward:
        passes["normalise"] = lambda: (images - mean) / std
    return passes


def timing_table(sets: list[Tables], rounds: int, clock: Callable[[], float]) -> Iterator[str]:
    """Markdown rows: milliseconds of the plain layer and of a normalise, and how many times faster each way is."""
    yield "| tables | images | pass | plain, ms | PyTorch | fused | all levels: both | normalise, ms; fused ÷ it |"
    yield "|---|---|---|---|---|---|---|---|"
    for tables in sets:
        for shape in SHAPES:
            images = pictures(shape)
            for backward in (False, True):
                with torch.set_grad_enabled(backward):
                    found = seconds(contenders(tables, images, backward), rounds, clock)
                yield timing_row(tables, shape, backward, found)


def timing_row(tables: Tables, shape: tuple[int, ...], backward: bool, found: list[dict[str, float]]) -> str:
    def ratio(name: str, to: str = "plain") -> float:
        return statistics.median(r[to] / r[name] for r in found) if name in found[0] else float("nan")

    pytorch_bar, fused_bar = tables.backward_bars if backward else tables.forward_bars
    if backward and shape[0] == 1:
        pytorch_bar = min(pytorch_bar, tables.single_bar)
    floor = "–"
    if not backward:
        over = 1 / ratio("fused", "normalise")
        floor = f"{1e3 * statistics.median(r['normalise'] for r in found):.3g}; {judged(over, 5, over <= 5)}"
    cells = [
        tables.name,
        "×".join(map(str, shape)),
        "forward + backward" if backward else "forward",
        f"{1e3 * statistics.median(r['plain'] for r in found):.3g}",
        judged(ratio("PyTorch"), pytorch_bar, ratio("PyTorch") >= pytorch_bar),
        judged(ratio("fused"), fused_bar, ratio("fused") >= fused_bar),
        f"{ratio('PyTorch, all levels'):.3g}×, {ratio('fused, all levels'):.3g}×",
        floor,
    ]
    return "| " + " | ".join(cells) + " |"


def judged(value: float, bar: float, met: bool) -> str:
    return f"{value:.3g}×" if met else f"**{value:.3g}× (missed {bar:g}×)**"


def saved_bytes(name: str, images: Tensor, tables: Tables) -> int:
    """Bytes kept between forward and backward, besides images and tables."""
    layer = (PlainLayer if name == "plain" else JPEGLayer)(tables.steps, tables.alpha)
    inputs = {t.untyped_storage().data_ptr() for t in (images, *layer.parameters(), *layer.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with way(name), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        output = layer(images.requires_grad_())
    del output
    return sum(size for pointer, size in kept.items() if pointer not in inputs)


def peak_of(name: str) -> float:
    """Peak extra memory of one forward + backward of 16 images at 224, in multiples of the images (Linux, glibc)."""
    tables, images = next(table_sets(None)), pictures((16, 3, 224, 224)).requires_grad_()
    layer = (PlainLayer if name == "plain" else JPEGLayer)(tables.steps, tables.alpha)
    upstream = torch.ones_like(images)
    with way(name):
        small = pictures((1, 3, 16, 16)).requires_grad_()
        layer(small).sum().backward()  # libraries, threads and tables are there
        ctypes.CDLL(None).malloc_trim(0)  # what making the pictures left behind would be used again, uncounted
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        layer(images).backward(upstream)
    return (_resident("VmHWM") - before) / (images.numel() * 4)


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def memory_table() -> Iterator[str]:
    yield "| 16×3×224×224 | saved besides inputs, MiB | peak extra memory, multiple of the images | bar |"
    yield "|---|---|---|---|"
    for name, bar in (("plain", "–"), ("PyTorch", "0; ≤ 3"), ("fused", "0; ≤ 2.2")):
        command = [sys.executable, "-m", "benchmarks.layer", "--peak", name]
        peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        saved = saved_bytes(name, pictures((16, 3, 224, 224)), next(table_sets(None)))
        yield f"| {name} | {saved / 2**20:.3g} | {float(peak):.3g} | {bar} |"


def machine() -> str:
    model = platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    built = kernel.load()
    lanes = "no fused kernel" if built is None else f"fused kernel with {built.lanes} lanes"
    vectors = torch.backends.cpu.get_cpu_capability()
    return f"{model}, {os.cpu_count()} cores, {vectors}, torch {torch.__version__}, {lanes}"


def report(pair: Path | None, rounds: int, threads: tuple[int, ...]) -> Iterator[str]:
    sets = list(table_sets(pair))
    yield f"Machine: {machine()}; load {os.getloadavg()[0]:.1f} at the start; {rounds} rounds."
    yield ""
    for count in threads:
        torch.set_num_threads(count)
        clock = time.process_time if count == 1 else time.perf_counter
        how = "one thread, CPU time" if count == 1 else f"{count} threads, wall-clock time"
        yield f"Times faster than the plain layer, {how}:"
        yield ""
        yield from timing_table(sets if count == 1 else sets[:1], rounds, clock)
        yield ""
    torch.set_num_threads(1)
    if sys.platform == "linux":
        yield from memory_table()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layer", description=__doc__)
    parser.add_argument("--pair", type=Path, help="folder of a trained pair, whose tables are measured too")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--write", type=Path, help="file in which the text between the two marks is replaced")
    parser.add_argument("--peak", choices=("plain", *WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        torch.set_num_threads(1)
        print(peak_of(arguments.peak))
        return
    lines = []
    for line in report(arguments.pair, arguments.rounds, tuple(arguments.threads)):
        print(line, flush=True)
        lines.append(line)
    if arguments.write:
        write_between(MARKS, lines, arguments.write)


if __name__ == "__main__":
    main()
