"""The Tables screen of a pair: heat maps as HTML, files to download, numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jpegdl.analysis.compression import table_hardness
from jpegdl.codec.jpegfile import STANDARD_TABLES, cjpeg_qtables_text, integer_tables, tables_csv, tables_json
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.server.results import save_bytes
from jpegdl.ui.heatmaps import tables_section


class ShownTables(NamedTuple):
    """Values of the Tables screen's outputs, in the order of the page's components."""

    html: str
    text: str  # path: cjpeg -qtables
    json: str  # path
    csv: str  # path
    numbers: dict[str, Any]


def show_tables(pair: ModelPair, folder: Path, upload: Sequence[ArrayLike] | None = None) -> ShownTables:
    """Learned, initial and standard tables, and the visitor's own file's if given; download files go to `folder`."""
    tables = named_tables(pair)
    learned = tables["learned"]
    numbers = {name: table.tolist() for name, table in tables.items()}
    numbers["learned as in a .jpg"] = integer_tables(learned).tolist()
    return ShownTables(
        html=tables_html(pair, upload),
        text=save_bytes(cjpeg_qtables_text(learned).encode(), f"{pair.card.name}-qtables.txt", folder),
        json=save_bytes(tables_json(tables).encode(), f"{pair.card.name}-tables.json", folder),
        csv=save_bytes(tables_csv(learned).encode(), f"{pair.card.name}-learned.csv", folder),
        numbers=numbers,
    )


def tables_html(pair: ModelPair, upload: Sequence[ArrayLike] | None = None) -> str:
    tables = named_tables(pair)
    return tables_section(
        learned=tables["learned"], initial=tables["initial"], hardness=table_hardness(pair), upload=upload
    )


def named_tables(pair: ModelPair) -> dict[str, NDArray[Any]]:
    """The first round's tables and what they are compared with, each (2, 8, 8): luma, chroma; grey levels."""
    return {
        "learned": pair.tables[0],
        "initial": np.asarray(pair.card.initial_tables[0], dtype=np.float32),
        "standard": STANDARD_TABLES,
    }
