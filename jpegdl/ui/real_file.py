"""The Real file screen: the picture as a .jpg with the learned tables, beside ordinary JPEG of the same size."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from jpegdl.codec.jpegfile import JPEGFile, encode, scale_standard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.prepare import prepare
from jpegdl.pairs.squares import Prepared
from jpegdl.ui.rendering import data_address, render


@dataclass(frozen=True)
class _Shown:
    """One of the pictures: `address` is lossless, `file` the .jpg that it was decoded from."""

    title: str
    address: str
    file: JPEGFile | None = None
    psnr: float | None = None  # dB against the picture; None if it is the picture

    @property
    def download(self) -> str:
        return data_address(self.file.data, "image/jpeg") if self.file else ""


def real_file(pair: ModelPair, picture: Image.Image | Prepared) -> str:
    """HTML for an upright RGB picture of any size."""
    square = Image.fromarray(prepare(picture, pair.card.input_size, pair.card.short_side).permute(1, 2, 0).numpy())
    learned = encode(square, pair.tables[0])
    quality, ordinary = same_size(square, len(learned.data))
    return render(
        "real_file.html",
        size=pair.card.input_size,
        shown=[
            _Shown("The picture", data_address(_png(square), "image/png")),
            _decoded("With the learned tables", square, learned),
            _decoded(f"Ordinary JPEG, quality {quality}", square, ordinary),
        ],
        learned=learned,
        quality=quality,
        ordinary=ordinary,
        changed=sorted(learned.changed, key=lambda change: -abs(change.learned - change.written))[:6],
        rounds=len(pair.tables),
    )


def same_size(picture: Image.Image, size: int) -> tuple[int, JPEGFile]:
    """The quality 1..100 at which the standard tables give the file nearest to `size` bytes, and that file."""
    files = {}

    def bytes_at(quality: int) -> int:
        files[quality] = encode(picture, scale_standard(quality))
        return len(files[quality].data)

    low, high = 1, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bytes_at(middle) < size else (low, middle)
    quality = min((low, high), key=lambda quality: abs(bytes_at(quality) - size))
    return quality, files[quality]


def _decoded(title: str, square: Image.Image, file: JPEGFile) -> _Shown:
    decoded = Image.open(io.BytesIO(file.data)).convert("RGB")
    error = np.mean((np.asarray(decoded, dtype=np.float64) - np.asarray(square, dtype=np.float64)) ** 2)
    psnr = float(10 * np.log10(255**2 / error)) if error else float("inf")
    return _Shown(title, data_address(_png(decoded), "image/png"), file, psnr)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


__all__ = ["real_file", "same_size"]
