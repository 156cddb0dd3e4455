"""Arrays in, RGB pictures out. Nothing is scaled on its own: what is compared gets one scale, from the caller.

Pictures are float arrays (3, H, W), 1.0 = white; maps are (h, w). `size` is the side of the result in pixels.
"""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

_MID_GREY, _WHITE = 128.0, 255.0

# Orange below zero, white, purple above. Like ColorBrewer's PuOr, but both sides equally light at each step, so that
# neither sign looks stronger, and exactly white in the middle.
_BELOW = ("#7f3b08", "#b35806", "#e08214", "#fdb863", "#fee8cc")
_ABOVE = ("#edeafa", "#c8c0ea", "#9f8fd2", "#7862b4", "#573b99")


def _table(colours: Colormap) -> Bytes:
    """All colours of a map in order, (N, 3), RGB."""
    return np.rint(colours(np.arange(colours.N))[:, :3] * _WHITE).astype(np.uint8)


# An odd number of colours, so that one of them is the middle.
_DIFFERENCE = LinearSegmentedColormap.from_list("difference", [*_BELOW, "#ffffff", *_ABOVE], N=511)
_JET = _table(colormaps["jet"])
_COLOURS = {"heat": _table(colormaps["viridis"]), "difference": _table(_DIFFERENCE), "jet": _JET}


def mass_normalised(map: ArrayLike) -> Floats:
    """A map >= 0 divided by its sum: shares of the whole, summing to 1. A map of zeros stays zeros."""
    values = np.asarray(map, dtype=np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("a map must be finite and >= 0 everywhere to have a mass")
    mass = values.sum()
    return values / mass if mass > 0 else values


def heat_picture(map: ArrayLike, *, maximum: float, size: int) -> Image.Image:
    """A map as viridis from 0 to `maximum` (larger values are cut off), values enlarged bilinearly, then coloured."""
    return Image.fromarray(_paint(_COLOURS["heat"], _relative(_enlarge(map, size), maximum)))


def difference_picture(first: ArrayLike, second: ArrayLike, *, limit: float, size: int) -> Image.Image:
    """second - first: orange where first is larger, white where equal, purple where second is; `limit` is full colour.

    Enlarged like `heat_picture`; differences beyond +-limit are cut off.
    """
    difference = _enlarge(np.subtract(second, first, dtype=np.float64), size)
    return Image.fromarray(_paint(_COLOURS["difference"], (_relative(difference, limit) + 1) / 2))


def overlay_picture(picture: ArrayLike, map: ArrayLike, *, size: int) -> Image.Image:
    """The papers' usual look: the map in jet, half transparent, over the picture (3, H, W).

    The one figure with a scale of its own: each map runs from its minimum to its maximum, so a strong and a weak map
    look alike. It shows where, never how much; compare networks with `heat_picture`. A constant map is drawn as 0.
    """
    heat = np.asarray(map, dtype=np.float64)
    heat = _relative(heat - heat.min(), float(np.ptp(heat)))
    below = Image.fromarray(_to_bytes(picture)).resize((size, size), Image.Resampling.BILINEAR)
    return Image.blend(below, Image.fromarray(_paint(_JET, _enlarge(heat, size).clip(0, 1))), 0.5)


def display_picture(array: ArrayLike) -> Image.Image:
    """A picture (3, H, W), cut off at black and white and rounded to 8 bits."""
    return Image.fromarray(_to_bytes(array))


def residual_picture(first: ArrayLike, second: ArrayLike, *, gain: float) -> Image.Image:
    """Grey level 128 + gain * (second - first) of each channel, cut off at 0 and 255; pictures (3, H, W)."""
    difference = np.subtract(second, first, dtype=np.float64)
    return Image.fromarray(_to_bytes(_MID_GREY / _WHITE + gain * difference))


def colour_at(name: str, position: float) -> tuple[int, int, int]:
    """RGB of the colours "heat" or "difference" at 0..1 (cut off beyond); 0.5 of "difference" is white."""
    red, green, blue = _paint(_COLOURS[name], np.clip(position, 0, 1)).tolist()
    return red, green, blue


def colour_list(name: str) -> list[str]:
    """All colours of "heat" (256), "difference" (511) or "jet" (256) from low to high, as #rrggbb."""
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in _COLOURS[name].tolist()]


def gradient_css(name: str) -> str:
    """The colours "heat" or "difference" as a CSS gradient from left to right, in 16 steps."""
    steps = 16
    colours = (colour_at(name, step / steps) for step in range(steps + 1))
    stops = ", ".join(f"#{r:02x}{g:02x}{b:02x} {100 * i / steps:g}%" for i, (r, g, b) in enumerate(colours))
    return f"linear-gradient(to right, {stops})"


def _relative(values: Floats, scale: float) -> Floats:
    """values / scale, cut off at -1 and 1; scale 0 leaves only the sign."""
    if not (np.isfinite(scale) and scale >= 0):
        raise ValueError(f"a scale must be a finite number >= 0, got {scale}")
    return np.clip(values / scale if scale > 0 else np.sign(values), -1, 1)


def _paint(colours: Bytes, positions: ArrayLike) -> Bytes:
    """Positions 0..1, any shape -> RGB, that shape + (3,)."""
    return colours[np.rint(np.asarray(positions) * (len(colours) - 1)).astype(np.int64)]


def _enlarge(map: ArrayLike, size: int) -> Floats:
    values = Image.fromarray(np.asarray(map, dtype=np.float32))
    return np.asarray(values.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float64)


def _to_bytes(picture: ArrayLike) -> Bytes:
    """(3, H, W), 1.0 = white -> (H, W, 3), 0..255."""
    levels = np.array(picture, dtype=np.float64)
    np.clip(levels, 0, 1, out=levels)
    np.rint(np.multiply(levels, _WHITE, out=levels), out=levels)
    return levels.astype(np.uint8).transpose(1, 2, 0).copy()
