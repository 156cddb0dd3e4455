"""An uploaded picture file, checked before it is decoded: no torch, no gradio, no global Pillow state.

The file comes from anybody. So the cheap checks come first (bytes, format, scans, pixels), then one decoding,
and whatever a decoder may raise leaves here as `Refused`, with one sentence that a visitor can act on.
"""

import io
import logging
import os
from dataclasses import dataclass

import numpy as np
from PIL import Image

from jpegdl.codec.segments import count_scans, tables_by_component
from jpegdl.pairs.pictures import upright

MAX_BYTES = 10 * 1024 * 1024  # one file; the web server's own limit is the same
MAX_PIXELS = 25_000_000  # a 24-megapixel camera; 8-bit RGB of this size takes 75 MB
MIN_SIDE = 8  # pixels: one JPEG block
MAX_SIDE = 10_000  # pixels
MAX_SCANS = 100  # ordinary progressive files have about ten; each costs 19 ms at 25 megapixels
FORMATS = ("JPEG", "PNG", "WEBP")  # an MPO (phone photo with a second picture) opens as a JPEG

MISSING = "There is no picture yet; choose one first."
UNREADABLE = "The uploaded file can no longer be read; upload the picture again."
TOO_LARGE = f"This file is larger than {MAX_BYTES // 2**20} MB; make the picture smaller and upload it again."
NOT_A_PICTURE = "This file is not a JPEG, PNG or WebP picture; save it as one of these and upload it again."
BROKEN = "The picture is incomplete or damaged; save it again in another program and upload the new file."
TOO_COSTLY = "This picture takes too long or too much memory to decode; save it smaller as an ordinary JPEG."
TOO_MANY_SCANS = (
    f"This JPEG is stored in more than {MAX_SCANS} passes; save it as an ordinary JPEG and upload it again."
)
TOO_MANY_PIXELS = (
    f"This picture has more than {MAX_PIXELS // 10**6} million pixels; make it smaller and upload it again."
)

Table = tuple[tuple[int, ...], ...]
_log = logging.getLogger(__name__)


class Refused(ValueError):  # noqa: N818 (an answer to a visitor, not a fault)
    """An upload that is not accepted; the message is one sentence for the visitor, without any file name."""


@dataclass(frozen=True)
class Upload:
    """A picture that passed every check.

    image: 8-bit RGB, upright, without metadata. notes: what was done to it, one sentence each.
    file_tables: a JPEG file's own quantization tables, of luma (or grey), of Cb, and of Cr if it has another, 8 x 8,
    row = vertical frequency, in grey levels per step; they belong to the picture as stored, before any turn. None
    stored as RGB or CMYK, which have no luma; None in place of them all if the file is not a JPEG.
    format: "JPEG", "PNG" or "WEBP".
    """

    image: Image.Image
    notes: tuple[str, ...]
    file_tables: tuple[Table, ...] | None
    format: str


def read_upload(path: str | os.PathLike[str] | None) -> Upload:
    """The picture in the file at `path`, as an upright RGB picture; raises only `Refused`."""
    data = _read_bytes(path)
    if not _starts_like_a_picture(data):
        raise Refused(NOT_A_PICTURE)
    if data.startswith(b"\xff\xd8") and count_scans(data) > MAX_SCANS:
        raise Refused(TOO_MANY_SCANS)
    try:
        return _decode(data)
    except Refused:
        raise
    except MemoryError:
        raise Refused(TOO_COSTLY) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused(TOO_MANY_PIXELS) from None
    except Exception:  # the one place where decoders fail: OSError, SyntaxError, struct.error, ...
        _log.debug("refused an upload", exc_info=True)
        raise Refused(BROKEN) from None


def _read_bytes(path: str | os.PathLike[str] | None) -> bytes:
    """The whole file, at most MAX_BYTES long: read once, so that what is checked is what is decoded."""
    if path is None or not os.fspath(path):
        raise Refused(MISSING)
    if not os.path.isfile(path):  # False, not an error, for any name that no file can have
        raise Refused(UNREADABLE)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        raise Refused(UNREADABLE) from None
    if len(data) > MAX_BYTES:
        raise Refused(TOO_LARGE)
    return data


def _starts_like_a_picture(data: bytes) -> bool:
    """Whether the first bytes are those of one of FORMATS: tells "not a picture" from "a damaged one"."""
    is_webp = data.startswith(b"RIFF") and data[8:12] == b"WEBP"
    return is_webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _decode(data: bytes) -> Upload:
    """Decode bytes that passed the cheap checks. Raises Refused, or anything that Pillow raises."""
    # Opening reads the header only. Pillow's own pixel limit merely warns below 179 million pixels, and to
    # make the warning an error (or change Image.MAX_IMAGE_PIXELS) would do so for every other thread too. So
    # the size is compared here, before anything is decoded.
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        _check_size(*opened.size)
        kind = "JPEG" if opened.format == "MPO" else str(opened.format)
        tables = _file_tables(data) if kind == "JPEG" else None
        picture = upright(opened)
    return Upload(image=picture.image, notes=picture.notes, file_tables=tables, format=kind)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Refused(TOO_MANY_PIXELS)
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
        raise Refused(
            f"This picture is {width} × {height} pixels and each side must have {MIN_SIDE} to {MAX_SIDE}; "
            "change its size and upload it again."
        )


def _file_tables(data: bytes) -> tuple[Table, ...]:
    found = tables_by_component(data)
    names = [name for name in ("grey", "Y", "Cb", "Cr") if name in found] if "M" not in found else []
    if "Cr" in found and np.array_equal(found["Cr"], found["Cb"]):
        names.remove("Cr")
    return tuple(tuple(tuple(row) for row in found[name].tolist()) for name in names)


__all__ = ["Refused", "Upload", "read_upload"]
