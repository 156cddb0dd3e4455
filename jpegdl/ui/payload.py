"""What the browser needs of one result, as plain JSON: two lossless pictures, arrays, numbers and sentences, once."""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from jpegdl.analysis.figures import colour_list
from jpegdl.analysis.request import Answer
from jpegdl.pairs.architectures import architecture, network_title
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.prepare import crop
from jpegdl.ui.sentences import say_given, say_looks, say_says

BUDGET = 138_000  # bytes of both pictures, so that a result stays under 200 kB as text

_DIGITS = 4  # significant ones of maps: more than any screen shows
_FLOAT32_DIGITS = 9  # all that it has: the browser rounds probabilities that sentences here round, too


@dataclass(frozen=True)
class Pictures:
    """The two pictures of a result, 8-bit and lossless, as data: addresses. Encoding costs more than what follows."""

    given: str
    reconstruction: str  # cut off at black and white
    relative: bool  # the reconstruction minus what was given, modulo 256, instead of itself


def encode_pictures(answer: Answer) -> Pictures:
    """Both lossless, as WebP: for 224 pixels its fastest setting takes 1.5 ms and makes files a quarter smaller than
    PNG's, which takes 4 ms. The next one takes 6 ms and saves another tenth to a quarter, so it is used on busy
    pictures only, which else would take more than BUDGET together. Where the layer changes little, the change takes a
    seventh of what the reconstruction would."""
    given, shown = answer.square, answer.reconstruction
    files = [_webp(given, 0), _webp(shown - given, 0)]
    relative = len(files[1]) < len(files[0])
    pictures = [given, shown - given if relative else shown]
    if not relative:
        files[1] = _webp(shown, 0)
    for index in sorted((0, 1), key=lambda index: -len(files[index])):
        if sum(map(len, files)) > BUDGET:
            files[index] = min(files[index], _webp(pictures[index], 1), key=len)
    addresses = [f"data:image/webp;base64,{base64.b64encode(file).decode('ascii')}" for file in files]
    return Pictures(addresses[0], addresses[1], relative)


def _webp(pixels: NDArray[np.uint8], method: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "webp", lossless=True, quality=0, method=method)
    return file.getvalue()


def result_payload(
    pair: ModelPair,
    answer: Answer,
    pictures: Pictures,
    *,
    number: int,
    picture: str,
    upright: tuple[int, int],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """One result. `number` and `picture` ("example:NAME", "picked:NAME", "draw:SEED" or "upload") belong to the state
    that asked for it, `upright` is the width and height of the whole picture, `notes` is what was done to it."""
    names, request, work = pair.card.class_names, answer.request, answer.compression
    luma, chroma = mean_limits(pair)
    rows, columns = answer.maps["baseline"].shape[1:]
    return {
        "number": number,
        "state": {
            "pair": request.pair,
            "picture": picture,
            "true": request.true,
            "stage": answer.stage,
            "quantizer": request.quantizer,
        },
        "size": len(answer.square),
        "crop": crop(*upright, pair.card.input_size, pair.card.short_side)._asdict(),
        "pictures": asdict(pictures),
        "probabilities": {arm: short(answer.probabilities[arm], _FLOAT32_DIGITS) for arm in ARMS},
        "answers": answer.firsts,
        "maps": {
            "stage": answer.stage,
            "rows": rows,
            "columns": columns,
            "classes": list(answer.classes),
            **{arm: [short(map) for map in answer.maps[arm]] for arm in ARMS},
        },
        "target": answer.targets["baseline"],
        "layer": {
            "psnr": float(f"{work.psnr:.4g}") if np.isfinite(work.psnr) else None,
            "zeroed": work.zeroed,
            "limited": work.limited,
            "outside": work.outside,
            "five_or_all": work.five_or_all,
            "dc_limit": None if luma is None else float(f"{luma:.4g}"),
        },
        "sentences": {
            "given": say_given(answer, luma, chroma),
            "looks": {str(index): say_looks(answer, index, names) for index in answer.classes},
            "says": say_says(answer, names),
        },
        "warnings": [*_warnings(pair.card, answer), *notes],
    }


def _warnings(card: PairCard, answer: Answer) -> list[str]:
    """What a reader must know before believing what he sees, if it is not in the sentences."""
    found = []
    if answer.request.quantizer != card.quantizer:
        found.append(f"JPEG-DL runs with {answer.request.quantizer}; it was trained with {card.quantizer}.")
    return found


def mean_limits(pair: ModelPair) -> tuple[float | None, float | None]:
    """Grey levels by which a block's mean brightness, and colour, may differ from mid-grey; None without a limit.

    The first table entry counts in steps of 8 times the mean, and at most `max_index` of them.
    """
    if pair.card.max_index is None:
        return None, None
    luma, chroma = (float(step) for step in pair.tables[:, :, 0, 0].min(0) * pair.card.max_index / 8)
    return luma, chroma


def pair_facts(pair: ModelPair) -> dict[str, Any]:
    """What the browser knows of a pair from the start, besides its example pictures."""
    card, counts = pair.card, pair.card.results["test"]
    stages = architecture(card.architecture).stages
    return {
        "name": card.name,
        "title": card.title,
        "classes": list(card.class_names),
        "stages": list(stages),
        "default_stage": list(stages)[-1],
        "size": card.input_size,
        "test": {
            "both": counts.both,
            "only_baseline": counts.only_baseline,
            "only_jpegdl": counts.only_jpegdl,
            "neither": counts.neither,
        },
    }


def menu_names(cards: Iterable[PairCard]) -> dict[str, str]:
    """Pair -> what a menu calls it: data and network, and its own name where another has the same."""
    texts = {card.name: f"{card.dataset.title.partition(',')[0]}, {network_title(card.architecture)}" for card in cards}
    often = Counter(texts.values())
    return {name: text if often[text] == 1 else f"{text} ({name})" for name, text in texts.items()}


def page_facts() -> dict[str, Any]:
    """What belongs to no pair: the colours of all pictures that the browser draws."""
    return {"colours": {name: colour_list(name) for name in ("heat", "difference", "jet")}}


def short(values: ArrayLike, digits: int = _DIGITS) -> list[float]:
    """The values in reading order with so many significant digits."""
    flat: NDArray[np.float64] = np.asarray(values, dtype=np.float64).ravel()
    return [float(f"{value:.{digits}g}") for value in flat.tolist()]


__all__ = ["Pictures", "encode_pictures", "menu_names", "page_facts", "pair_facts", "result_payload"]
