"""From an upload to what the Compare screen shows: files, HTML and numbers; no layout."""

import io
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from jpegdl.analysis.compression import QuantizerName
from jpegdl.analysis.figures import (
    difference_picture,
    display_picture,
    heat_picture,
    mass_normalised,
    overlay_picture,
    residual_picture,
)
from jpegdl.analysis.picture import PairExplanation, PictureComparison
from jpegdl.analysis.request import Target
from jpegdl.codec.jpegfile import JPEGFile, encode
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.prepare import prepare
from jpegdl.server.results import save_bytes, save_png
from jpegdl.server.uploads import Upload
from jpegdl.ui import fragments
from jpegdl.ui.menus import FORMULA, TRUE, read_quantizer, read_target, read_true_class
from jpegdl.ui.tables import tables_html

_RESIDUAL_GAINS = (8, 4, 2, 1)  # the first that keeps the difference between black and white, else 1
_VIEW = 384  # pixels: side of the pictures on the page

Notice = tuple[Literal["info", "warning"], str]
# Runs the networks, on a GPU if there is one: pair's name, prepared picture (3, S, S), class, stage, quantizer.
Analyse = Callable[[str, Tensor, Target, str, QuantizerName], PictureComparison]


class Shown(NamedTuple):
    """Values of the Compare screen's outputs, in the order in which /compare returns them: numbers first.

    Pictures are paths of PNG files, `jpeg` is the path of the .jpg; the rest is HTML for the page.
    """

    numbers: dict[str, Any]
    picture: str
    reconstruction: str
    decoded: str
    residual: str
    map_baseline: str
    map_jpegdl: str
    difference: str
    overlay_baseline: str
    overlay_jpegdl: str
    jpeg: str
    strip: str
    notices: str
    explained: str
    bars: str
    facts: str
    ruler: str
    tables: str


def compare_upload(
    pair: ModelPair,
    upload: Upload,
    target: str,
    true_class: str,
    stage: str,
    quantizer: str,
    *,
    analyse: Analyse,
    folder: Path,
) -> Shown:
    """Both arms of `pair` on one upload. `true_class` is a class name, or UNKNOWN; result files go to `folder`.

    Raises ValueError for a class, stage or quantizer that is not in the menus.
    """
    names = pair.card.class_names
    truth = read_true_class(true_class, names)
    square = prepare(upload.image, pair.card.input_size, pair.card.short_side)
    view = analyse(pair.card.name, square, read_target(target, truth, names), stage, read_quantizer(quantizer))
    explained = view.explanation
    file = encode(Image.fromarray(view.square), pair.tables[0])
    decoded = _unit(np.asarray(Image.open(io.BytesIO(file.data)).convert("RGB")))
    original, reconstruction = _unit(view.square), view.compression.reconstruction
    largest = float(np.abs(reconstruction - original).max())
    gain = next((gain for gain in _RESIDUAL_GAINS if gain * largest <= 0.5), 1)
    maps = {arm: mass_normalised(explained.maps[arm]) for arm in ARMS}
    highest = max(float(maps[arm].max()) for arm in ARMS)
    furthest = float(np.abs(maps["jpegdl"] - maps["baseline"]).max())
    pictures = {
        "picture": display_picture(original, size=_VIEW),
        "reconstruction": display_picture(reconstruction, size=_VIEW),
        "decoded": display_picture(decoded, size=_VIEW),
        "residual": display_picture(
            _unit(np.asarray(residual_picture(original, reconstruction, gain=gain))), size=_VIEW
        ),
        "map_baseline": heat_picture(maps["baseline"], maximum=highest, size=_VIEW),
        "map_jpegdl": heat_picture(maps["jpegdl"], maximum=highest, size=_VIEW),
        "difference": difference_picture(maps["baseline"], maps["jpegdl"], limit=furthest, size=_VIEW),
        "overlay_baseline": overlay_picture(original, explained.maps["baseline"], size=_VIEW),
        "overlay_jpegdl": overlay_picture(original, explained.maps["jpegdl"], size=_VIEW),
    }
    cells = explained.maps["baseline"].shape
    return Shown(
        strip=fragments.verdict_strip(pair.card, _decision(explained, names, truth)),
        notices="".join(
            fragments.notice(kind, text) for kind, text in _notices(explained, upload, target, quantizer, truth, names)
        ),
        explained=_explained(explained, names),
        bars=fragments.paired_bars(names, explained.probabilities, targets=explained.targets, true_label=truth),
        facts=fragments.compression_facts(view.compression, file, max_index=pair.codec.max_index, gain=gain),
        ruler=fragments.ruler(highest, cells=cells) + fragments.ruler(furthest, cells=cells, difference=True),
        tables=tables_html(pair, upload.file_tables),
        jpeg=save_bytes(file.data, "learned-tables.jpg", folder),
        numbers=_numbers(pair, view, file, maps, truth),
        **{name: save_png(picture, folder) for name, picture in pictures.items()},
    )


def _unit(pixels: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
    """(H, W, 3), 0..255 -> (3, H, W), 1.0 = white."""
    return pixels.transpose(2, 0, 1) / 255


def _explained(explained: PairExplanation, names: tuple[str, ...]) -> str:
    """Which class each map explains, where; as HTML."""
    classes = {fragments.ARM_NAMES[arm]: names[explained.targets[arm]] for arm in ARMS}
    shared = len(set(classes.values())) == 1
    of = next(iter(classes.values())) if shared else ", ".join(f"{name} ({arm})" for arm, name in classes.items())
    height, width = explained.maps["baseline"].shape
    return (
        f'<p class="jx jx-explained">Class explained{" for both" if shared else ""}: <b>{escape(of)}</b>, at '
        f"{escape(explained.stage)}, {height} × {width} cells.</p>"
    )


def _decision(explained: PairExplanation, names: tuple[str, ...], truth: int | None) -> fragments.Decision:
    top = {arm: (names[explained.answers[arm]], float(explained.probabilities[arm].max())) for arm in ARMS}
    return fragments.Decision(top=top, true_label=None if truth is None else names[truth])


def _notices(
    explained: PairExplanation, upload: Upload, target: str, quantizer: str, truth: int | None, names: tuple[str, ...]
) -> list[Notice]:
    """What a reader must know before believing the pictures below."""
    found: list[Notice] = []
    if len(set(explained.targets.values())) > 1:
        found.append(("warning", "The two maps explain different classes, so they answer different questions."))
    if quantizer == FORMULA:
        found.append(("warning", "JPEG-DL runs with another quantizer than it was trained with: all levels, not five."))
    if target == TRUE and truth is None:
        found.append(("warning", "The true class is not known; the class with the highest mean probability is shown."))
    if truth is None:
        found.append(
            (
                "info",
                f"The networks know {len(names)} classes and no others: a picture of anything else gets one of these "
                "names too. Choose the true class if you know it.",
            )
        )
    empty = [fragments.ARM_NAMES[arm] for arm in ARMS if not explained.maps[arm].any()]
    if empty:
        found.append(("warning", f"No positive evidence for this class at this stage: {', '.join(empty)} (empty map)."))
    if upload.format == "JPEG":
        found.append(("info", "The upload is a JPEG already, so the layer compresses it a second time."))
    return found + [("info", note) for note in upload.notes]


def _numbers(
    pair: ModelPair,
    view: PictureComparison,
    file: JPEGFile,
    maps: Mapping[Arm, NDArray[np.float64]],
    truth: int | None,
) -> dict[str, Any]:
    """Everything that is drawn, as numbers for a script; shares 0..1."""
    names, counts = pair.card.class_names, pair.card.results["test"]
    explained, work = view.explanation, view.compression
    return {
        "pair": pair.card.name,
        "stage": explained.stage,
        "true_class": None if truth is None else names[truth],
        "arms": {
            arm: {
                "answer": names[explained.answers[arm]],
                "explained_class": names[explained.targets[arm]],
                "probabilities": dict(zip(names, map(float, explained.probabilities[arm]), strict=True)),
                "map": [[float(share) for share in row] for row in maps[arm]],
                "map_sum_raw": float(explained.maps[arm].sum()),
            }
            for arm in ARMS
        },
        "layer": {
            "psnr_db": work.psnr if np.isfinite(work.psnr) else None,
            "zeroed": work.zeroed,
            "limited": work.limited,
            "outside_black_white": work.outside,
            "five_or_all_levels_mean_difference": work.five_or_all,
            "jpeg_bits_per_pixel": file.bits_per_pixel,
            "steps_changed_by_rounding": len(file.changed),
        },
        "test_set": {
            "n": counts.n,
            "both": counts.both,
            "only_baseline": counts.only_baseline,
            "only_jpegdl": counts.only_jpegdl,
            "neither": counts.neither,
            "p_mcnemar": counts.p_value,
        },
    }
