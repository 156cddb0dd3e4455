"""The one way from a picture file to upright 8-bit RGB pixels: in training, in tests, on the page. No torch."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from jpegdl.pairs.downloads import instead_of_a_file


@dataclass(frozen=True)
class Member:
    """A file inside an archive: where it lies, for people, and its bytes."""

    name: str
    data: bytes


Picture = Path | Member | bytes | NDArray[np.uint8]  # a file, a file's bytes, or RGB values (H, W, 3)

_ORIENTATION_TAG = 0x0112
_TURN = {  # EXIF orientation -> what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Unreadable(ValueError):  # noqa: N818 (what is wrong with a file, not with the program)
    """A picture that cannot be decoded; the message is one sentence that names it and says what to do."""


@dataclass(frozen=True)
class Upright:
    """8-bit RGB, the right way up, without metadata; and what was done to the file for it, one sentence each."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def read_picture(item: Picture) -> Upright:
    """A picture from wherever it lies. Raises Unreadable for a file that is damaged, missing or no picture."""
    if isinstance(item, np.ndarray):
        if item.dtype != np.uint8 or item.ndim != 3 or item.shape[2] != 3:
            raise ValueError(f"RGB values must be uint8 (height, width, 3), got {item.dtype} {item.shape}")
        return Upright(Image.fromarray(item))
    try:
        data = item.read_bytes() if isinstance(item, Path) else item if isinstance(item, bytes) else item.data
        if instead := instead_of_a_file(data[:512]):
            raise Unreadable(f"{_named(item)} {instead}, or remove it")
        with Image.open(io.BytesIO(data)) as opened:
            return upright(opened)
    except Unreadable:
        raise
    except Exception as error:  # decoders fail with OSError, SyntaxError, struct.error, MemoryError, ...
        said = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"  # that one names an object
        raise Unreadable(f"{_named(item)} cannot be decoded as a picture{said}; restore or remove it") from None


_SPREAD = {"L;2": 85, "L;4": 17}  # a decoder's layout -> by what it multiplies the values of a grey picture


def upright(opened: ImageFile.ImageFile) -> Upright:
    """A file that Pillow has opened, not decoded yet -> its first frame, whatever its mode; raises what Pillow raises.

    Wider values are scaled to 8 bits, transparent parts lie on white, an EXIF orientation is applied.
    """
    notes = []
    if opened.format not in ("JPEG", "MPO") and getattr(opened, "n_frames", 1) > 1:
        notes.append("Only the first frame of the animation is used.")  # of a phone's MPO, it is the photograph
    deep = any(";16" in str(tile[3]) for tile in opened.tile)  # the decoder's layout, such as RGB;16B
    spread = next((_SPREAD[str(tile[3])] for tile in opened.tile if str(tile[3]) in _SPREAD), 1)
    opened.load()
    turn = _TURN.get(_orientation(opened))
    image: Image.Image = _to_8_bits(opened) if opened.mode.startswith("I") else opened
    if deep:
        notes.append("16-bit values were scaled to 8 bits.")
        if isinstance(transparent := opened.info.get("transparency"), tuple):  # Pillow scales the pixels only
            opened.info["transparency"] = tuple(value >> 8 for value in transparent)
    if isinstance(transparent := opened.info.get("transparency"), int):
        opened.info["transparency"] = spread * transparent  # again
    if image.mode == "CMYK":
        notes.append("Converted from CMYK.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] != 255:
            notes.append("Transparent parts are shown on white.")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if turn is not None:
        image = image.transpose(turn)
        notes.append("Turned according to its EXIF orientation.")
    image.info.clear()
    return Upright(image, tuple(notes))


def _named(item: Path | Member | bytes) -> str:
    return str(item) if isinstance(item, Path) else item.name if isinstance(item, Member) else "a file"


def _orientation(opened: Image.Image) -> int:
    """EXIF orientation 1..8. Damaged EXIF counts as upright: cameras write it, and the pixels are fine."""
    try:
        value = opened.getexif().get(_ORIENTATION_TAG, 1)
        return value if isinstance(value, int) else 1
    except Exception:
        return 1


def _to_8_bits(opened: Image.Image) -> Image.Image:
    """16-bit grey -> 8-bit grey (with alpha if one grey value is declared transparent), 65535 -> 255.

    Pillow's own conversion clips at 255, that is nearly everything to white. (16-bit colour is scaled by
    Pillow's PNG decoder, which keeps the high byte.)
    """
    values = np.asarray(opened).astype(np.int32)
    grey = Image.fromarray(((values.clip(0, 65535) + 128) // 257).astype(np.uint8))
    transparent = opened.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey
