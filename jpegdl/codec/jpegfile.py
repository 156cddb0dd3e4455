"""Real .jpg files with given quantization tables: write one, read a file's own tables, export tables as text.

A JPEG file holds whole numbers 1..255 and rounds hard, so it is not the layer: it is the nearest thing that
any program can open. `JPEGFile.changed` says which steps the file could not keep.
Unit everywhere: grey levels per quantization index. The layer's DCT is orthonormal, the scaling of the JPEG
standard, so a learned step is an ordinary table entry. Table 0 is luma, table 1 serves both chroma channels.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jpegdl.codec.segments import tables_by_number

if TYPE_CHECKING:  # Pillow is imported where a file is written: the layer does without
    from PIL import Image

TABLE_NAMES = ("luma", "chroma")


# ITU-T T.81 (1992), Annex K, tables K.1 and K.2: libjpeg at quality 50. (2, 8, 8), row = vertical frequency.
STANDARD_TABLES = np.array(
    [
        [
            [16, 11, 10, 16, 24, 40, 51, 61],
            [12, 12, 14, 19, 26, 58, 60, 55],
            [14, 13, 16, 24, 40, 57, 69, 56],
            [14, 17, 22, 29, 51, 87, 80, 62],
            [18, 22, 37, 56, 68, 109, 103, 77],
            [24, 35, 55, 64, 81, 104, 113, 92],
            [49, 64, 78, 87, 103, 121, 120, 101],
            [72, 92, 95, 98, 112, 100, 103, 99],
        ],
        [
            [17, 18, 24, 47, 99, 99, 99, 99],
            [18, 21, 26, 66, 99, 99, 99, 99],
            [24, 26, 56, 99, 99, 99, 99, 99],
            [47, 66, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
        ],
    ]
)
STANDARD_TABLES.setflags(write=False)


def scale_standard(quality: int) -> NDArray[np.int64]:
    """The standard tables at an ordinary JPEG quality 1..100, as libjpeg scales them: (2, 8, 8), 1..255."""
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1..100, got {quality}; 50 gives the standard tables themselves")
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((STANDARD_TABLES * percent + 50) // 100).clip(1, 255)


class Change(NamedTuple):
    """A step that a file could not keep: table 0 luma, 1 chroma; row = vertical frequency; grey levels."""

    table: int
    row: int
    column: int
    learned: float
    written: int


@dataclass(frozen=True, eq=False)
class JPEGFile:
    """A written file. tables: (2, 8, 8) int, read back from the file's bytes; changed: see Change.

    bits_per_pixel counts the whole file, headers included. optimized: False if Pillow could not fit optimized
    Huffman codes (more than 16 bits a pixel); the picture is the same, the file about a third larger.
    """

    data: bytes
    tables: NDArray[np.int64]
    changed: tuple[Change, ...]
    bits_per_pixel: float
    optimized: bool


def integer_tables(tables: ArrayLike) -> NDArray[np.int64]:
    """Steps (2, 8, 8), grey levels -> rounded (half to even) and clipped to baseline JPEG's range 1..255."""
    return np.rint(_checked(tables)).clip(1, 255).astype(np.int64)


def encode(image: "Image.Image", tables: ArrayLike) -> JPEGFile:
    """An RGB picture as a baseline 4:4:4 JFIF file with these steps (2, 8, 8), rounded as a file needs it."""
    if image.mode != "RGB":
        raise ValueError(f"an RGB picture is needed, got mode {image.mode}; convert it first")
    steps = _checked(tables)
    asked = integer_tables(steps)
    data, optimized = _write(image, asked)
    written = np.array(read_tables(data))
    if not np.array_equal(written, asked):
        raise ValueError(f"the written file has other tables than asked for: {written.tolist()}; report this")
    changed = tuple(
        Change(int(t), int(r), int(c), float(steps[t, r, c]), int(written[t, r, c]))
        for t, r, c in np.argwhere(np.abs(steps - written) > 1e-6)
    )
    bits_per_pixel = 8 * len(data) / (image.width * image.height)
    return JPEGFile(data, written, changed, bits_per_pixel, optimized)


def read_tables(data: bytes) -> list[NDArray[np.int64]]:
    """A JPEG file's quantization tables in table-number order, each (8, 8), row = vertical frequency."""
    return [table for _, table in sorted(tables_by_number(data).items())]


def cjpeg_qtables_text(tables: ArrayLike) -> str:
    """Two whole-number tables as text for `cjpeg -quality 50 -qtables FILE -sample 1x1 -baseline`.

    cjpeg scales what it reads by its -quality; 50 keeps the numbers.
    """
    blocks = []
    for name, table in zip(TABLE_NAMES, integer_tables(tables), strict=True):
        rows = "\n".join(" ".join(f"{step:3d}" for step in row) for row in table)
        blocks.append(f"# {name}, row = vertical frequency, grey levels per step\n{rows}\n")
    return "\n".join(blocks)


def tables_csv(tables: ArrayLike) -> str:
    """One line a step: table, row, column, step; steps unrounded, in grey levels."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "row", "column", "step"])
    for (t, row, column), step in np.ndenumerate(_checked(tables)):
        writer.writerow([TABLE_NAMES[t], row, column, repr(float(step))])
    return text.getvalue()


def tables_json(tables_by_name: Mapping[str, ArrayLike]) -> str:
    """Named tables, steps unrounded: {"unit": ..., "tables": {name: {"luma": 8 rows, "chroma": 8 rows}}}."""
    named = {
        name: dict(zip(TABLE_NAMES, _checked(tables).tolist(), strict=True)) for name, tables in tables_by_name.items()
    }
    unit = "grey levels (0..255 scale) per quantization index; row = vertical frequency"
    return json.dumps({"unit": unit, "tables": named}, indent=1)


def _checked(tables: ArrayLike) -> NDArray[np.float64]:
    steps = np.asarray(tables, dtype=np.float64)
    if steps.shape != (2, 8, 8):
        raise ValueError(f"tables must have shape (2, 8, 8), luma and chroma, got {steps.shape}")
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise ValueError("every step must be a finite number above 0; check where the tables come from")
    return steps


def _write(image: "Image.Image", tables: NDArray[np.int64]) -> tuple[bytes, bool]:
    """The bytes of a baseline file, and whether its Huffman codes are optimized."""
    from PIL import Image

    pixels = Image.fromarray(np.asarray(image))  # without metadata: Pillow would copy a comment into the file
    qtables = [table.ravel().tolist() for table in tables]  # row-major; never with quality=, which rescales them
    try:
        file = io.BytesIO()
        pixels.save(file, "JPEG", qtables=qtables, subsampling=0, optimize=True)
        return file.getvalue(), True
    except OSError:  # Pillow reserves 16 bits a pixel for the optimizing pass; noise with steps of 1 needs 24
        file = io.BytesIO()
        pixels.save(file, "JPEG", qtables=qtables, subsampling=0)
        return file.getvalue(), False
