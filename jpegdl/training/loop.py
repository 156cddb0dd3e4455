"""Joint training of network and tables (paper section 3.3), as a generator of epochs."""

import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer

from jpegdl.analysis.evaluate import logits
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.classifier import Classifier
from jpegdl.training.augment import random_resized_crop
from jpegdl.training.data import PreparedTensors, TrainingTensors
from jpegdl.training.recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch left behind. Loss in nats, accuracies as shares 0..1, seconds of wall time."""

    number: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float
    steps: list[Any] | None  # the tables after the epoch, (rounds, 2, 8, 8); None for the baseline


def fit(
    model: Classifier,
    recipe: Recipe,
    train: TrainingTensors,
    validation: PreparedTensors,
    *,
    seed: int,
    device: torch.device,
    state_file: Path | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place for recipe.epochs and yield each epoch when it is over.

    The order of batches and the augmentation depend on `seed` and the epoch alone, so both arms see the same
    pictures. With `state_file`, the state is written after every epoch; if the file exists, its epochs are yielded
    first and training continues after them exactly as if it had not stopped. Raises ValueError if the file belongs
    to another recipe or seed, and at the end of an epoch whose loss is not finite.
    """
    model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    optimizers = make_optimizers(model, recipe)
    run = {"recipe": asdict(recipe), "seed": seed, "tables": isinstance(model.codec, JPEGLayer)}
    history: list[Epoch] = []
    if state_file and state_file.exists():
        history = _restore(state_file, run, model, optimizers, device)
        yield from history
    images, labels = train.images.to(device), train.labels.to(device)
    for number in range(len(history) + 1, recipe.epochs + 1):
        started = time.perf_counter()
        for group in optimizers[0].param_groups:
            group["lr"] = recipe.learning_rate_at(number)
        loss, accuracy = _train_epoch(
            model, optimizers, recipe, images, train.shapes, labels, epoch_generator(seed, number)
        )
        if not math.isfinite(loss):
            raise ValueError(f"the loss of epoch {number} is {loss}; choose a lower learning rate or other tables")
        held_out = logits(model, validation.images).argmax(1) == validation.labels
        history.append(
            Epoch(
                number=number,
                loss=loss,
                train_accuracy=accuracy,
                validation_accuracy=held_out.float().mean().item(),
                seconds=time.perf_counter() - started,
                steps=model.codec.steps.tolist() if isinstance(model.codec, JPEGLayer) else None,
            )
        )
        if state_file:
            _store(state_file, run, model, optimizers, history)
        yield history[-1]


def make_optimizers(model: Classifier, recipe: Recipe) -> list[Optimizer]:
    """SGD for the network; Adam without decay for the tables, if there are any. No parameter is in both."""
    network = SGD(
        model.backbone.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    tables = list(model.codec.parameters())
    return [network, Adam(tables, lr=recipe.table_learning_rate)] if tables else [network]


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """CPU generator of one epoch's shuffling and augmentation, the same for both arms and after a resume."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def _train_epoch(
    model: Classifier,
    optimizers: list[Optimizer],
    recipe: Recipe,
    images: Tensor,
    shapes: Tensor,
    labels: Tensor,
    generator: torch.Generator,
) -> tuple[float, float]:
    """One pass over the pictures -> mean loss and accuracy on the augmented batches."""
    model.train()
    order = torch.randperm(len(labels), generator=generator)
    total_loss = total_correct = torch.zeros((), device=labels.device)
    for batch in order.split(recipe.batch_size):
        there = batch.to(labels.device)
        inputs = random_resized_crop(images[there], shapes[batch], recipe.input_size, generator)
        with torch.autocast(labels.device.type, torch.bfloat16):
            output = model(inputs)
        loss = cross_entropy(output.float(), labels[there])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        if isinstance(model.codec, JPEGLayer):
            model.codec.project_()
        total_loss = total_loss + loss.detach() * len(batch)
        total_correct = total_correct + (output.argmax(1) == labels[there]).sum()
    return total_loss.item() / len(labels), total_correct.item() / len(labels)


def _store(
    path: Path, run: dict[str, Any], model: Classifier, optimizers: list[Optimizer], history: list[Epoch]
) -> None:
    """Write the state to a temporary file, then rename: an interruption leaves the previous epoch's state."""
    state = {
        "run": run,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "history": [asdict(epoch) for epoch in history],
    }
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _restore(
    path: Path, run: dict[str, Any], model: Classifier, optimizers: list[Optimizer], device: torch.device
) -> list[Epoch]:
    state = torch.load(path, map_location=device, weights_only=True)
    if state["run"] != run:
        raise ValueError(f"{path} belongs to another recipe or seed; remove it or choose another --out")
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return [Epoch(**epoch) for epoch in state["history"]]
