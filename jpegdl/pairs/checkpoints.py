"""Pairs on disk: pair.json and one safetensors file an arm. Load strictly, refuse, never repair."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.arms import read_arm, stored_bytes
from jpegdl.pairs.card import PairCard, card_from_json, card_to_json
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, table_layer
from jpegdl.pairs.proof import TOLERANCE, difference
from jpegdl.pairs.storage import CheckpointError, alone_in, new_folder, read_text, short, write_file, write_weights

__all__ = [
    "CARD",
    "CheckpointError",
    "ModelPair",
    "change_card",
    "load_pair",
    "load_pairs",
    "load_records",
    "prove",
    "save_pair",
]

CARD = "pair.json"
SYSTEM_FOLDERS = ("__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN", "@eaDir")


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
        """Freeze two networks on the CPU, take the tables, move them, with channels last in memory, in which
        convolutions are faster (benchmarks/analysis.py). Raises ValueError for a pair without a layer."""
        layer = table_layer(jpegdl)
        if layer is None:
            raise ValueError(f"{card.name}: the JPEG-DL network has no JPEG layer; give it one")
        tables, alphas = (_constant(value) for value in (layer.steps, layer.alpha))
        for arm in (baseline, jpegdl):
            arm.requires_grad_(False).eval().to(device)
            arm.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
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

    A new folder gets its name when it is complete. In a folder that exists, weights are written beside the old ones,
    the card that names them takes the old card's place in one step, and then the old ones go: at any time the card
    describes files that are there. Returns the card as written.
    """
    if not folder.exists():
        with new_folder(folder) as staged:
            return _fill(staged, replace(card, name=folder.name), arms)
    card = _fill(folder, replace(card, name=folder.name), arms)
    kept = {file.file for file in (card.weights or {}).values()}
    for path in folder.glob("*.safetensors"):
        if path.name not in kept:
            path.unlink()
    return card


def _fill(folder: Path, card: PairCard, arms: Mapping[Arm, Classifier]) -> PairCard:
    card = replace(card, weights={arm: write_weights(folder, arm, stored_bytes(arms[arm])) for arm in ARMS})
    write_file(folder / CARD, card_to_json(card).encode())
    return card


def change_card(folder: Path, measured: PairCard, change: Callable[[PairCard], PairCard]) -> PairCard:
    """Change what a pair's card says by now, in one step, and leave its weights alone. Returns the card as written.

    What other programs have written since `measured` was read stays. Raises CheckpointError if the pair was trained
    again since then, or is gone: of other weights nothing is known.
    """
    with alone_in(folder):
        card = replace(_load_card(folder / CARD), name=folder.name)
        if card.weights != measured.weights:
            raise CheckpointError(f"{folder.name} was trained again while it was measured; measure it again.")
        card = change(card)
        write_file(folder / CARD, card_to_json(card).encode())
    return card


def load_pair(folder: Path, device: torch.device | str = "cpu") -> ModelPair:
    """Read and check a pair; its name is the folder's, so a renamed copy is a pair of its own.

    Raises CheckpointError for whatever is missing, changed, damaged or out of range.
    """
    card = replace(_load_card(folder / CARD), name=folder.name)
    if card.weights is None:
        raise CheckpointError(f"{short(folder / CARD)} names no weights; restore the card or train the pair again.")
    baseline, jpegdl = (read_arm(folder, card, arm, card.weights[arm]) for arm in ARMS)
    return ModelPair.of(card, baseline, jpegdl, device)


def prove(pair: ModelPair) -> None:
    """Raises CheckpointError for a pair that does not answer as its card says it did when it was measured.

    A card without a proof is taken as it is; `python -m jpegdl prove` writes one.
    """
    if pair.card.proof is None:
        return
    for arm in ARMS:
        found = difference(pair.card.proof, arm, pair.arm(arm), pair.card.input_size)
        if not found <= TOLERANCE:
            raise CheckpointError(
                f"{pair.card.name}: its {arm} network does not answer as it did when it was measured (a probability "
                f"differs by {found:.2g}); restore the pair, or measure it again with `python -m jpegdl evaluate`."
            )


def load_pairs(
    root: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, ModelPair], dict[str, CheckpointError]]:
    """All pairs in the folders of `root`, by folder name: those that load and prove, and why the others do not."""
    recover(root)
    pairs, refused = {}, {}
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        if folder.name.startswith(".") or folder.name in SYSTEM_FOLDERS:
            continue
        try:
            folder.name.encode()
            pair = load_pair(folder)
            prove(pair)
            pairs[folder.name] = ModelPair.of(pair.card, pair.baseline, pair.jpegdl, device)
        except CheckpointError as error:
            refused[folder.name] = error
        except UnicodeEncodeError:
            name = os.fsencode(folder.name).decode(errors="replace")
            refused[name] = CheckpointError(f"{name}: the folder's name is not UTF-8; rename it.")
        except Exception as error:  # one pair must not take the page from all
            reason = f"{type(error).__name__}: {error}"
            refused[folder.name] = CheckpointError(f"{folder.name} cannot be loaded ({reason}); restore it.")
    return pairs, refused


def load_records(folder: Path) -> tuple[list[PairCard], list[CheckpointError]]:
    """The cards of runs whose weights are not kept, the .json files in `folder`: those that are cards, and why not."""
    cards, refused = [], []
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            cards.append(_load_card(path))
        except CheckpointError as error:
            refused.append(error)
    return cards, refused


def recover(root: Path) -> None:
    """Put back a pair that an earlier version, killed while it replaced the pair, left in `.NAME-xxxxxxxx/previous`."""
    for previous in root.glob(".*-????????/previous"):
        folder = root / previous.parent.name[1:-9]
        if (previous / CARD).is_file() and not folder.exists():
            with suppress(OSError):
                os.rename(previous, folder)


def _load_card(path: Path) -> PairCard:
    text = read_text(path)
    try:
        return card_from_json(text)
    except ValueError as error:
        raise CheckpointError(f"{short(path)} is not a pair's card: {error}.") from None


def _constant(value: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = value.detach().float().numpy().copy()
    array.flags.writeable = False
    return array
