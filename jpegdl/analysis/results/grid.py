"""The grid of a card as text: both networks on each form of the test pictures, and what the files are like."""

from collections.abc import Mapping

from jpegdl.analysis.results.markdown import format_p, share, table
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.measured import FORMS, Form, Grid

RAW_BITS = 24  # bits per pixel of a picture without compression
MEANINGS: Mapping[Form, str] = {
    "raw": "raw pictures",
    "soft": "the layer as trained",
    "exact": "the layer, all levels",
    "hard": "the layer, rounding hard",
    "file": "a real .jpg",
}


def grid_section(grid: Grid) -> str:
    """Markdown: a row for each form, and a sentence on the files."""
    rows = []
    for form in FORMS:
        row = [MEANINGS[form]]
        for arm in ARMS:
            cell = grid.cells[form][arm]
            reference = (form, arm) == ("raw", "baseline")
            row.append(share(cell, "jpegdl") + (", reference" if reference else f", p = {format_p(cell.p_value)}"))
        rows.append(row)
    n = grid.cells["raw"]["baseline"].n
    return (
        f"Every input to both networks, n = {n}; p is McNemar's, against the baseline network on raw pictures:\n\n"
        f"{table(['input', 'baseline network', 'JPEG-DL network'], rows)}{files_text(grid)}\n\n"
    )


def files_text(grid: Grid) -> str:
    """A sentence or two on the .jpg files, without the pictures' names."""
    n = grid.cells["raw"]["baseline"].n
    differing = f"{n - grid.lossless} of {n} files differ from their picture"
    if grid.psnr is not None:
        differing += f", by {grid.psnr:.1f} dB PSNR on average"
    return (
        f"The files take {grid.bits_per_pixel:.2f} bits a pixel ({grid.bits_per_pixel_without_headers:.2f} without "
        f"headers), raw pictures {RAW_BITS}; {differing}. {grid.raised_steps} of {grid.steps} steps are below 1 and "
        "count as 1 in a file."
    )
