"""Pairs on disk: pair.json and one safetensors file an arm. Load strictly, refuse, never repair."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import MAX_STEP, MIN_STEP, JPEGLayer
from jpegdl.codec.quantizer import Quantizer
from jpegdl.codec.variants import QUANTIZERS
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.card import PairCard, card_from_json, card_to_json
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier, replace_first_relu, table_layer

CARD = "pair.json"
_LFS_POINTER = b"version https://git-lfs"
_HALF_MAX = torch.finfo(torch.float16).max


class CheckpointError(ValueError):
    """A pair on disk that cannot be used; the message is one sentence that names the file and the remedy."""


@dataclass(frozen=True)
class ModelPair:
    """Two classifiers in evaluation mode with frozen parameters, on one device, their card and the layer's tables.

    The tables are read-only arrays, taken from the networks before these went to a device: whoever shows them needs
    no tensor, which on ZeroGPU does not exist outside the GPU call.
    """

    card: PairCard
    baseline: Classifier
    jpegdl: Classifier
    tables: NDArray[np.float32]  # (rounds, 2, 8, 8): luma, chroma, grey levels; (channels, 8, 8) inside the network
    alphas: NDArray[np.float32]  # same shape, 1 / unit of the tables^2

    @classmethod
    def of(
        cls, card: PairCard, baseline: Classifier, jpegdl: Classifier, device: torch.device | str = "cpu"
    ) -> "ModelPair":
        """Freeze two networks on the CPU, take the tables, move them. Raises ValueError for a pair without a layer."""
        layer = table_layer(jpegdl)
        if layer is None:
            raise ValueError(f"{card.name}: the JPEG-DL network has no JPEG layer; give it one")
        tables, alphas = (_constant(value) for value in (layer.steps, layer.alpha))
        for arm in (baseline, jpegdl):
            arm.requires_grad_(False).eval().to(device)
        return cls(card, baseline, jpegdl, tables, alphas)

    def arm(self, arm: Arm) -> Classifier:
        return self.baseline if arm == "baseline" else self.jpegdl

    @property
    def codec(self) -> JPEGLayer:
        """The JPEG layer of the JPEG-DL arm."""
        codec = self.jpegdl.codec
        if not isinstance(codec, JPEGLayer):
            raise TypeError("the JPEG-DL arm has no JPEG layer")
        return codec

    @property
    def device(self) -> torch.device:
        return self.baseline.mean.device

    def with_quantizer(self, quantizer: Quantizer) -> "ModelPair":
        """This pair with another soft quantizer in its JPEG layer; the networks are the same objects."""
        codec = self.codec
        if codec.quantizer is quantizer:
            return self
        other = JPEGLayer(codec.steps, codec.alpha, max_index=codec.max_index, quantizer=quantizer)
        facts = architecture(self.card.architecture)
        jpegdl = Classifier(other, self.jpegdl.backbone, facts.mean, facts.std)
        return replace(self, jpegdl=jpegdl.to(self.device).requires_grad_(False).eval())


def save_pair(folder: Path, card: PairCard, arms: Mapping[Arm, Classifier]) -> PairCard:
    """Write a pair: weights as float16, tables and alpha as float32, then the card with the files' hashes.

    Written to a temporary folder beside `folder` and renamed, so a reader sees the old pair or the new one.
    Returns the card as written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        staged = Path(scratch) / "pair"
        staged.mkdir()
        facts: dict[str, dict[str, Any]] = {}
        for arm in ARMS:
            data = save({key: _stored(key, value) for key, value in arms[arm].state_dict().items()})
            file = staged / f"{arm}.safetensors"
            file.write_bytes(data)
            facts[arm] = {"file": file.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        card = replace(card, name=folder.name, weights=facts)
        (staged / CARD).write_text(card_to_json(card))
        if folder.exists():
            os.replace(folder, Path(scratch) / "previous")
        shutil.move(staged, folder)
    return card


def _stored(key: str, value: Tensor) -> Tensor:
    """Weights to float16; the layer's steps and alphas, and what float16 cannot hold, keep float32; integers stay."""
    keep = key.endswith((".steps", ".alpha")) or not value.is_floating_point() or bool((value.abs() > _HALF_MAX).any())
    return (value if keep else value.half()).detach().cpu().contiguous()


def load_pair(folder: Path, device: torch.device | str = "cpu") -> ModelPair:
    """Read and check a pair; its name is the folder's, so a renamed copy is a pair of its own.

    Raises CheckpointError for whatever is missing, changed, damaged or out of range.
    """
    card = replace(_load_card(folder / CARD), name=folder.name)
    baseline, jpegdl = (_load_arm(folder, card, arm) for arm in ARMS)
    return ModelPair.of(card, baseline, jpegdl, device)


def load_pairs(
    root: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, ModelPair], dict[str, CheckpointError]]:
    """All pairs in the folders of `root`, by folder name: those that load, and why the others do not."""
    pairs, refused = {}, {}
    for folder in sorted(path for path in root.glob("[!.]*") if path.is_dir()):
        try:
            pairs[folder.name] = load_pair(folder, device)
        except CheckpointError as error:
            refused[folder.name] = error
    return pairs, refused


def _load_card(path: Path) -> PairCard:
    if not path.is_file():
        raise CheckpointError(f"{_short(path)} is missing; restore the file or train the pair again.")
    try:
        return card_from_json(path.read_text())
    except ValueError as error:
        raise CheckpointError(f"{_short(path)} is not a pair's card: {error}.") from None


def _load_arm(folder: Path, card: PairCard, arm: Arm) -> Classifier:
    path = folder / f"{arm}.safetensors"
    data = _read_weights(path, str(card.weights.get(arm, {}).get("sha256")))
    model = _empty_arm(card, arm)
    expected = model.state_dict()
    try:
        found = load(data)
    except SafetensorError:
        raise CheckpointError(f"{_short(path)} is not a safetensors file; restore it.") from None
    wrong = sorted(set(found) ^ set(expected)) or [k for k in expected if found[k].shape != expected[k].shape]
    if wrong:
        raise CheckpointError(
            f"{_short(path)} does not fit {card.architecture} with {len(card.class_names)} classes: "
            f"{len(wrong)} tensors differ, the first is {wrong[0]}; restore the file or its card."
        )
    if not all(bool(torch.isfinite(value).all()) for value in found.values()):
        raise CheckpointError(f"{_short(path)} holds values that are not finite; train the pair again.")
    if arm == "jpegdl":
        prefix = "codec" if card.place == "input" else "backbone.relu"
        steps, alpha = found[f"{prefix}.steps"], found[f"{prefix}.alpha"]
        if not bool(((steps >= MIN_STEP) & (steps <= MAX_STEP)).all() and (alpha > 0).all()):
            raise CheckpointError(
                f"{_short(path)} holds quantization steps outside {MIN_STEP}..{MAX_STEP} or alpha <= 0; restore it."
            )
    model.load_state_dict({key: value.to(expected[key].dtype) for key, value in found.items()})
    return model


def _empty_arm(card: PairCard, arm: Arm) -> Classifier:
    """An arm as the card describes it, with weights that are to be replaced."""
    codec, quantizer = None, QUANTIZERS[card.quantizer]
    if arm == "jpegdl" and card.place == "input":
        codec = JPEGLayer(torch.ones(card.rounds, 2, 8, 8), 1.0, max_index=card.max_index, quantizer=quantizer)
    model = build_classifier(card.architecture, len(card.class_names), codec=codec)
    if arm == "jpegdl" and card.place == "first relu":
        replace_first_relu(
            model,
            lambda channels: FeatureJPEGLayer(
                torch.ones(channels, 8, 8), 1.0, max_index=card.max_index, quantizer=quantizer
            ),
        )
    return model


def _read_weights(path: Path, sha256: str) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"{_short(path)} is missing; restore the file or train the pair again.")
    data = path.read_bytes()
    if data.startswith(_LFS_POINTER):
        raise CheckpointError(f"{_short(path)} is a Git LFS pointer, not weights; run `git lfs pull`.")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(f"{_short(path)} does not match the hash in its card; restore the file.")
    return data


def _constant(value: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = value.detach().float().numpy().copy()
    array.flags.writeable = False
    return array


def _short(path: Path) -> str:
    """Folder and file name, without the rest of the machine's path."""
    return f"{path.parent.name}/{path.name}"
