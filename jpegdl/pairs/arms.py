"""One trained arm on disk: float16 weights, strictly loaded, and the card of an arm that waits for the other one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import MAX_STEP, MIN_STEP, JPEGLayer
from jpegdl.codec.variants import QUANTIZERS
from jpegdl.pairs.card import ArmCard, Card, arm_card_from_json, card_to_json
from jpegdl.pairs.classifier import Arm, Classifier, build_classifier, replace_first_relu
from jpegdl.pairs.facts import WeightsFile
from jpegdl.pairs.storage import CheckpointError, new_folder, read_text, read_weights, short, write_file, write_weights

ARM_CARD = "arm.json"
_HALF_MAX = torch.finfo(torch.float16).max


def save_arm(folder: Path, card: ArmCard, model: Classifier) -> ArmCard:
    """Write a trained arm into a new folder, with its card; returns the card as written."""
    with new_folder(folder) as staged:
        weights = write_weights(staged, card.arm, stored_bytes(model))
        card = replace(card, name=folder.name, weights=weights)
        write_file(staged / ARM_CARD, card_to_json(card).encode())
    return card


def load_arm(folder: Path) -> tuple[ArmCard, Classifier]:
    """Read and check an arm that `save_arm` wrote. Raises CheckpointError as checkpoints.load_pair does."""
    path = folder / ARM_CARD
    text = read_text(path)
    try:
        card = arm_card_from_json(text)
    except ValueError as error:
        raise CheckpointError(
            f"{short(path)} is no arm's card: {error}; remove the folder to train it again."
        ) from None
    if card.weights is None:
        raise CheckpointError(f"{short(path)} names no weights; train the arm again.")
    return card, read_arm(folder, card, card.arm, card.weights).requires_grad_(False).eval()


def stored_bytes(model: Classifier) -> bytes:
    """A safetensors file: weights as float16; steps, alphas and what float16 cannot hold as float32."""
    return save({key: stored_tensor(key, value) for key, value in model.state_dict().items()})


def stored_tensor(key: str, value: Tensor) -> Tensor:
    """A value of a network's state as it is stored."""
    keep = key.endswith((".steps", ".alpha")) or not value.is_floating_point() or bool((value.abs() > _HALF_MAX).any())
    return (value if keep else value.half()).detach().cpu().contiguous()


def read_arm(folder: Path, card: Card, arm: Arm, file: WeightsFile) -> Classifier:
    """An arm's network with the weights of `file`. Raises CheckpointError for whatever does not fit the card."""
    data, path = read_weights(folder, file), folder / file.file
    model = _empty_arm(card, arm)
    expected = model.state_dict()
    try:
        found = load(data)
    except SafetensorError:
        raise CheckpointError(f"{short(path)} is not a safetensors file; restore it.") from None
    wrong = sorted(set(found) ^ set(expected)) or [k for k in expected if found[k].shape != expected[k].shape]
    if wrong:
        raise CheckpointError(
            f"{short(path)} does not fit {card.architecture} with {len(card.class_names)} classes: "
            f"{len(wrong)} tensors differ, the first is {wrong[0]}; restore the file or its card."
        )
    if not all(bool(torch.isfinite(value).all()) for value in found.values()):
        raise CheckpointError(f"{short(path)} holds values that are not finite; train the pair again.")
    if arm == "jpegdl":
        prefix = "codec" if card.place == "input" else "backbone.relu"
        steps, alpha = found[f"{prefix}.steps"], found[f"{prefix}.alpha"]
        if not bool(((steps >= MIN_STEP) & (steps <= MAX_STEP)).all() and (alpha > 0).all()):
            raise CheckpointError(
                f"{short(path)} holds quantization steps outside {MIN_STEP}..{MAX_STEP} or alpha <= 0; restore it."
            )
    model.load_state_dict({key: value.to(expected[key].dtype) for key, value in found.items()})
    return model


def _empty_arm(card: Card, arm: Arm) -> Classifier:
    """An arm as the card describes it, with weights that are to be replaced."""
    codec, quantizer = None, QUANTIZERS[card.quantizer]
    if arm == "jpegdl" and card.place == "input":
        codec = JPEGLayer(torch.ones(card.rounds, 2, 8, 8), 1.0, max_index=card.max_index, quantizer=quantizer)
    with _NothingDrawn():
        model = build_classifier(card.architecture, len(card.class_names), codec=codec)
    if arm == "jpegdl" and card.place == "first relu":
        replace_first_relu(
            model,
            lambda channels: FeatureJPEGLayer(
                torch.ones(channels, 8, 8), 1.0, max_index=card.max_index, quantizer=quantizer
            ),
        )
    return model


class _NothingDrawn(TorchFunctionMode):
    """Inside, networks are built without drawing the first weights, which takes longer than all the rest of loading."""

    _draws = frozenset({Tensor.normal_, Tensor.uniform_, Tensor.erfinv_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and (func in self._draws or getattr(func, "__module__", "") == "torch.nn.init"):
            return args[0]
        return func(*args, **(kwargs or {}))
