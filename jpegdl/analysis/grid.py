"""Each network of a pair on each form of the test pictures: as they are, soft, exact, hard, and from real files."""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from jpegdl.analysis.compression import psnr
from jpegdl.codec.jpegfile import encode
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import soft_quantize_all_levels
from jpegdl.codec.variants import hard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.evaluate import paired_counts
from jpegdl.pairs.measured import FORMS, Form, Grid
from jpegdl.pairs.prepare import to_unit


class _DecodedFile(NamedTuple):
    pixels: Tensor  # (3, S, S) uint8, what Pillow reads back
    data: bytes


class _FileFacts(NamedTuple):
    bits: int  # of the whole file
    scan_bits: int  # of the entropy-coded data in it
    psnr: float  # dB, inf for a file that decodes to exactly its picture


def evaluate_grid(
    pair: ModelPair,
    images: Tensor,
    labels: Tensor,
    *,
    batch_size: int = 32,
    tell: Callable[[int], None] = lambda done: None,
) -> Grid:
    """Both backbones on five forms of prepared pictures, uint8 (N, 3, S, S), labels (N,).

    raw: the pictures. soft: the pair's layer with its own quantizer. exact: the same layer with the mean over all
    levels. hard: the same with the nearest level inside the index limit. file: a baseline 4:4:4 .jpg with the learned
    tables, decoded by Pillow; for several rounds one file after the other. A file is not the hard layer: it holds whole
    steps of 1 to 255, so steps below 1 become 1; it has no index limit; and its pixels are rounded and clamped to
    0..255, in every round.

    Works in batches, so memory does not grow with N; `tell` hears how many pictures are done. Raises ValueError for
    pictures of another type or size and for a pair whose layer is not at the input.
    """
    if not isinstance(pair.jpegdl.codec, JPEGLayer):
        raise ValueError(f"{pair.card.name} has no JPEG layer at the input, whose tables a file could hold")
    size = pair.card.input_size
    shapes_fit = images.shape[1:] == (3, size, size) and labels.shape == images.shape[:1]
    if images.dtype != torch.uint8 or not shapes_fit or not len(images):
        raise ValueError(
            f"{pair.card.name} takes at least one uint8 picture (N, 3, {size}, {size}) with labels (N,), "
            f"got {images.dtype} {tuple(images.shape)} with {tuple(labels.shape)}; call prepare first"
        )
    right: dict[tuple[Form, Arm], list[Tensor]] = {(form, arm): [] for form in FORMS for arm in ARMS}
    files: list[_FileFacts] = []
    for chunk, wanted in zip(images.split(batch_size), labels.cpu().split(batch_size), strict=True):
        forms, decoded = _forms(pair, chunk)
        files += [_file_facts(picture, file) for picture, file in zip(chunk, decoded, strict=True)]
        for form, arm in right:
            right[form, arm].append(_answers(pair, arm, forms[form]) == wanted)
        tell(len(files))
    counted = {cell: torch.cat(rows) for cell, rows in right.items()}
    differing = [file.psnr for file in files if np.isfinite(file.psnr)]
    return Grid(
        cells={
            form: {arm: paired_counts(counted["raw", "baseline"], counted[form, arm]) for arm in ARMS} for form in FORMS
        },
        bits_per_pixel=float(np.mean([file.bits for file in files])) / size**2,
        bits_per_pixel_without_headers=float(np.mean([file.scan_bits for file in files])) / size**2,
        raised_steps=int((pair.tables < 1).sum()),
        steps=pair.tables.size,
        psnr=float(np.mean(differing)) if differing else None,
        lossless=len(files) - len(differing),
    )


@torch.inference_mode()
def _forms(pair: ModelPair, images: Tensor) -> tuple[dict[Form, Tensor], list[_DecodedFile]]:
    """The forms of uint8 pictures (N, 3, S, S), each float (N, 3, S, S), 1.0 = white, and the files of the last one."""
    raw = to_unit(images.to(pair.device))
    decoded = [_decode_again(picture.permute(1, 2, 0).cpu().numpy(), pair.tables) for picture in images]
    return {
        "raw": raw,
        "soft": pair.codec(raw),
        "exact": pair.with_quantizer(soft_quantize_all_levels).codec(raw),
        "hard": pair.with_quantizer(hard).codec(raw),
        "file": to_unit(torch.stack([file.pixels for file in decoded]).to(pair.device)),
    }, decoded


def _decode_again(picture: NDArray[np.uint8], tables: NDArray[np.float32]) -> _DecodedFile:
    """Write pixels (S, S, 3) as a .jpg with each of the tables (rounds, 2, 8, 8) in series; the last file's bytes."""
    for round_tables in tables:
        data = encode(Image.fromarray(picture, "RGB"), round_tables).data
        with Image.open(io.BytesIO(data)) as file:
            picture = np.array(file.convert("RGB"))
    return _DecodedFile(torch.from_numpy(picture).permute(2, 0, 1), data)


def _file_facts(picture: Tensor, file: _DecodedFile) -> _FileFacts:
    decibels = psnr(to_unit(picture.cpu()), to_unit(file.pixels))
    return _FileFacts(8 * len(file.data), 8 * _scan_length(file.data), decibels)


def _scan_length(data: bytes) -> int:
    """Bytes of entropy-coded data in a file of one scan, between its scan header and the end marker.

    In such data a byte FF is followed by 00, so the last start-of-scan marker in the file is the real one.
    """
    header = data.rindex(b"\xff\xda") + 2
    return len(data) - 2 - header - int.from_bytes(data[header : header + 2], "big")


@torch.inference_mode()
def _answers(pair: ModelPair, arm: Arm, images: Tensor) -> Tensor:
    """First classes (N,), CPU, of one arm's normalisation and backbone, without its codec."""
    classifier = pair.arm(arm)
    answers: Tensor = classifier.backbone(classifier.normalize(images)).argmax(1).cpu()
    return answers
