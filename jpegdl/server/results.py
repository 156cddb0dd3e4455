"""Result files: named by content, written once, and never seen half-written.

Visitors of the same example produce the same file at the same moment. Gradio writes its own results in place, and cut
off the downloads of one visitor in five that way.
"""

import hashlib
import io
import os
import re
import secrets
import tempfile
from pathlib import Path

from PIL import Image

MODES = ("L", "RGB", "RGBA")  # their bytes alone determine the picture
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\.(jpg|png|txt|json|csv)")
_KEY = secrets.token_bytes(16)  # or anybody could ask whether a picture that he has was analysed here


def save_png(image: Image.Image, folder: Path) -> str:
    """Path of `image` as PNG in `folder`, pixels exactly as they are; mode L, RGB or RGBA."""
    if image.mode not in MODES:
        raise ValueError(f"expected a picture of mode {', '.join(MODES)}, got {image.mode}; convert it first")
    pixels = image.tobytes()
    path = folder / f"{_hash(f'{image.mode} {image.size}'.encode(), pixels)}.png"
    if not _still_there(path):
        png = io.BytesIO()
        bare = Image.frombytes(image.mode, image.size, pixels)  # without colour profile, or equal names could differ
        bare.save(png, "PNG", compress_level=1)
        _write(path, png.getvalue())
    return str(path)


def save_bytes(data: bytes, name: str, folder: Path) -> str:
    """Path of a download that the visitor will see as `name`, such as "report.json", in a folder per content."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a plain file name that ends in .jpg, .png, .txt, .json or .csv, got {name!r}")
    path = folder / _hash(data) / name
    if not _still_there(path):
        _write(path, data)
    return str(path)


def _hash(*parts: bytes) -> str:
    digest = hashlib.blake2b(key=_KEY, digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _still_there(path: Path) -> bool:
    """Whether the file exists; if so it counts as new again, because old ones are deleted."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


__all__ = ["save_bytes", "save_png"]
