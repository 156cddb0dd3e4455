"""The Tables screen of a pair: heat maps of all tables, and files to take away."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from jpegdl.analysis.compression import table_hardness
from jpegdl.analysis.numbers import named_tables
from jpegdl.codec.jpegfile import cjpeg_qtables_text, tables_csv, tables_json
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.ui.compare import Chosen
from jpegdl.ui.heatmaps import hardness_scale, heatmap, legend, log_ticks, ratio_scale, short_number, step_scale
from jpegdl.ui.rendering import data_address, render

_TITLES = {
    "learned": ("Learned", ""),
    "initial": ("Initial", "before training"),
    "standard": ("Standard", "JPEG Annex K, quality 50"),
}
_GROUPS = ("Luma (brightness)", "Chroma (colour)")


def tables(pair: ModelPair, upload: Chosen | None = None) -> str:
    """HTML: learned, initial and standard tables, their ratio, hardness, and the tables of a visitor's own .jpg."""
    named = named_tables(pair)
    steps = {_TITLES[name]: np.asarray(named[name], dtype=np.float64) for name in _TITLES}
    own: Sequence[ArrayLike] = (upload.file_tables or ()) if upload else ()
    if len(own):
        steps["Your file", "as it was uploaded"] = np.asarray(own[:2], dtype=np.float64)
    ratio = steps[_TITLES["learned"]] / steps[_TITLES["initial"]]
    hardness = np.asarray(table_hardness(pair), dtype=np.float64)
    scales = step_scale(steps.values()), ratio_scale(ratio), hardness_scale(hardness)
    return render(
        "tables.html",
        title=pair.card.title,
        legends=[
            legend("heat", log_ticks(scales[0]), "Steps, in grey levels, one scale for all step tables."),
            legend(
                "difference",
                [
                    (0.0, f"÷ {short_number(scales[1].maximum)}"),
                    (0.5, "same"),
                    (1.0, f"× {short_number(scales[1].maximum)}"),
                ],
                "Learned / initial: orange became finer in training, purple coarser.",
            ),
            legend(
                "heat",
                log_ticks(scales[2]),
                f"Hardness α·q²: how strictly a step q rounds. α, here {_alpha(pair)}, is not trained. Near 0.7 "
                "values pass almost unchanged; from 10, and far below 0.7, they are rounded.",
            ),
        ],
        groups=[
            (
                group,
                [
                    *(
                        heatmap(shown[index], title=title, caption=caption, scale=scales[0], unit="grey levels")
                        for (title, caption), shown in steps.items()
                        if index < len(shown)
                    ),
                    *(
                        heatmap(table, title="Your file", caption="Cr", scale=scales[0], unit="grey levels")
                        for table in own[2:]
                        if index == 1
                    ),
                    heatmap(ratio[index], title="Learned / initial", scale=scales[1], unit="times"),
                    heatmap(hardness[index], title="Hardness", caption="α·q²", scale=scales[2], unit=""),
                ],
            )
            for index, group in enumerate(_GROUPS)
        ],
        files=[
            (label, f"{pair.card.name}-{name}", data_address(text.encode("utf-8"), kind))
            for label, name, kind, text in (
                ("Learned tables for cjpeg -qtables", "qtables.txt", "text/plain", cjpeg_qtables_text(pair.tables[0])),
                ("Learned tables as CSV", "learned.csv", "text/csv", tables_csv(pair.tables[0])),
                ("All tables as JSON", "tables.json", "application/json", tables_json(named)),
            )
        ],
    )


def _alpha(pair: ModelPair) -> str:
    """One number, or from the least to the largest where it goes with the step."""
    ends = dict.fromkeys(short_number(value) for value in (pair.alphas[0].min(), pair.alphas[0].max()))
    return " to ".join(ends)


__all__ = ["tables"]
