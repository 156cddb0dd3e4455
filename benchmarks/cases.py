"""What the benchmarks share: tables, pictures, the layer's two ways of computing, and where results are written."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from jpegdl.pairs.checkpoints import load_pair

WAYS = ("PyTorch", "fused")


@dataclass(frozen=True)
class Tables:
    """Steps and alpha of one row of the table; forward and backward bars for PyTorch and fused, at least so much."""

    name: str
    steps: Tensor  # (2, 8, 8), grey levels
    alpha: Tensor  # (2, 8, 8)
    forward_bars: tuple[float, float] = (10, 90)
    backward_bars: tuple[float, float] = (7, 45)
    single_bar: float = 6  # PyTorch, forward and backward, batch 1


def table_sets(pair: Path | None) -> Iterator[Tables]:
    steps = torch.empty(2, 8, 8).uniform_(1, 12, generator=torch.Generator().manual_seed(0))
    for h in (2.0, 0.7):
        yield Tables(f"hardness {h:g}", steps, h / steps.square())
    if pair is not None:
        codec = load_pair(pair).codec
        yield Tables(f"trained, {pair.name}", codec.steps[0].detach(), codec.alpha[0])
    # Rising with frequency as the inverse sensitivities of a fine-grained data set do (method f.3), alpha 5.
    frequency = torch.arange(8.0)[:, None] + torch.arange(8.0)
    ramp = 0.03 * 1.5 ** frequency.expand(2, 8, 8)
    yield Tables("saturated", ramp, torch.full_like(ramp, 5.0), (7, 40), (5, 25), 5)


def pictures(shape: tuple[int, ...]) -> Tensor:
    """Smooth shapes, finer ones with less contrast, as in photographs; 1.0 = white."""
    generator = torch.Generator().manual_seed(1)
    total = torch.full(shape, 0.45)
    for cell, contrast in ((16, 0.25), (8, 0.12), (4, 0.06), (2, 0.03), (1, 0.015)):
        coarse = torch.randn(shape[0], 3, shape[2] // cell, shape[3] // cell, generator=generator)
        total += contrast * interpolate(coarse, shape[2:], mode="bilinear")
    return total.clamp(0, 1)


@contextmanager
def way(name: str) -> Iterator[None]:
    """Run the layer one way."""
    before = os.environ.get("JPEGDL_KERNEL")
    os.environ["JPEGDL_KERNEL"] = "on" if name == "fused" else "off"
    try:
        yield
    finally:
        os.environ.pop("JPEGDL_KERNEL") if before is None else os.environ.update(JPEGDL_KERNEL=before)


def write_between(marks: tuple[str, str], lines: Sequence[str], path: Path) -> None:
    """Replace what stands between two marks of a file."""
    head, rest = path.read_text(encoding="utf-8").split(marks[0])
    path.write_text("\n".join([head + marks[0], "", *lines, marks[1]]) + rest.split(marks[1])[1], encoding="utf-8")
