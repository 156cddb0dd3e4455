"""Joint training of network and tables (paper section 3.3), as a generator of epochs."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, AdamW, Optimizer

from jpegdl.codec.layer import MIN_STEP, JPEGLayer
from jpegdl.codec.parameters import TableLayer, split_parameters
from jpegdl.pairs.classifier import Classifier, table_layer
from jpegdl.pairs.facts import Epoch, tables_of
from jpegdl.pairs.prepare import to_unit
from jpegdl.pairs.recipe import Recipe, shared_settings
from jpegdl.training import processes
from jpegdl.training.data import Batch, Prepared, TrainingSet
from jpegdl.training.history import Moment, Watch
from jpegdl.training.precision import in_precision, slow_layers_in_float32
from jpegdl.training.state import restore, state_exists, store

_WATCHED_EVERY = 60.0  # seconds


def fit(
    model: Classifier,
    recipe: Recipe,
    train: TrainingSet,
    validation: Prepared,
    *,
    seed: int,
    device: torch.device,
    precision: torch.dtype = torch.bfloat16,
    state_file: Path | None = None,
    watch: Watch | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place for recipe.epochs and yield each epoch when it is over.

    The order of batches and the augmentation depend on `seed` and the epoch alone, so both arms see the same
    pictures. With `state_file`, the state is written after every epoch; if the file exists, its epochs are yielded
    first and training continues after them exactly as if it had not stopped, or in another precision. `watch` is told
    once a minute how an epoch goes. Several processes (processes.py) train one model: gradients are averaged, the first
    one writes. Raises ValueError if the file belongs to another recipe or seed, and after an epoch whose loss is not
    finite.
    """
    model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    layer = table_layer(model)
    if layer is not None:
        constrain(layer, recipe)
    optimizers = make_optimizers(model, recipe)
    settings = shared_settings(recipe) if layer is None else asdict(recipe)
    run = {"settings": settings, "seed": seed, "tables": layer is not None}
    history: list[Epoch] = []
    if state_file and state_exists(state_file):
        history = restore(state_file, run, model, optimizers, device)
        yield from history
    network = processes.together(model)
    for number in range(len(history) + 1, recipe.epochs + 1):
        started = time.perf_counter()
        random_state = torch.random.fork_rng([device] if device.type == "cuda" else [])
        with random_state, slow_layers_in_float32(model, device):
            torch.manual_seed((seed * 1_000_003 + number) * 1009 + processes.rank())  # dropout, noise
            batches = train.batches(epoch_generator(seed, number))
            loss, accuracy = _train_epoch(
                network, layer, optimizers, recipe, batches, number, train.steps, precision, watch
            )
        if not math.isfinite(loss):
            raise ValueError(f"the loss of epoch {number} is {loss}; choose a lower learning rate or other tables")
        history.append(
            Epoch(
                number=number,
                loss=loss,
                train_accuracy=accuracy,
                validation_accuracy=_accuracy(model, validation, device, precision),
                seconds=time.perf_counter() - started,
                precision="bfloat16" if precision == torch.bfloat16 else "float32",
                steps=tables_of(layer.steps.tolist()) if isinstance(layer, JPEGLayer) else None,
            )
        )
        if state_file and processes.rank() == 0:
            store(state_file, run, model, optimizers, history)
        yield history[-1]


def make_optimizers(model: Classifier, recipe: Recipe) -> list[Optimizer]:
    """The network's optimiser, and the tables' if they are trained, without decay. No parameter is in both."""
    network, tables = split_parameters(model)
    optimizers: list[Optimizer] = [_network_optimizer(network, recipe)]
    if not tables or recipe.table_optimizer == "none":
        return optimizers
    if recipe.table_optimizer == "adam":
        return [*optimizers, Adam(tables, lr=recipe.table_learning_rate)]
    return [*optimizers, SGD(tables, lr=recipe.table_learning_rate, momentum=recipe.momentum)]


def _network_optimizer(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    if recipe.optimizer == "sgd":
        return SGD(parameters, lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]  # biases and scales, without decay as usual with AdamW
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, lr=recipe.learning_rate)


@torch.no_grad()
def constrain(layer: TableLayer, recipe: Recipe) -> None:
    """Move the tables to where the recipe lets them be; called before the first and after every optimiser step."""
    layer.project_()
    layer.steps.requires_grad_(recipe.table_optimizer != "none")
    if recipe.zero_dc:  # at 127 smallest steps a DC coefficient is 0 to a thousandth of a grey level
        layer.steps[..., 0, 0] = MIN_STEP
    if recipe.hardness is not None:
        layer.alpha.copy_(recipe.hardness / layer.steps.square())


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """CPU generator of one epoch's shuffling and augmentation, the same for both arms and after a resume."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def _train_epoch(
    network: nn.Module,
    layer: TableLayer | None,
    optimizers: list[Optimizer],
    recipe: Recipe,
    batches: Iterator[Batch],
    number: int,
    steps: int,
    precision: torch.dtype,
    watch: Watch | None,
) -> tuple[float, float]:
    """One pass over the pictures -> mean loss and accuracy on the augmented batches."""
    network.train()
    sums = torch.zeros(3, dtype=torch.float64)  # loss, right answers, pictures
    started = told = time.perf_counter()
    rates = (recipe.learning_rate_at, recipe.table_learning_rate_at)
    for position, batch in enumerate(batches):
        for optimizer, rate in zip(optimizers, rates, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate(number - 1 + position / steps)
        loss, correct = train_step(
            network, optimizers, batch, label_smoothing=recipe.label_smoothing, precision=precision
        )
        if layer is not None:
            constrain(layer, recipe)
        sums += torch.stack([loss, correct, torch.full_like(loss, len(batch.inputs))]).double().cpu()
        if watch and (now := time.perf_counter()) - told >= _WATCHED_EVERY:
            told, (loss_sum, correct_sum, pictures) = now, sums.tolist()
            watch(
                Moment(
                    epoch=number,
                    done=(position + 1) / steps,
                    seconds=now - started,
                    loss=loss_sum / pictures,
                    train_accuracy=correct_sum / pictures,
                )
            )
    loss_sum, correct_sum, pictures = processes.total(sums.to(batch.inputs.device)).tolist()
    return loss_sum / pictures, correct_sum / pictures


def train_step(
    network: nn.Module,
    optimizers: list[Optimizer],
    batch: Batch,
    *,
    label_smoothing: float = 0.0,
    precision: torch.dtype = torch.bfloat16,
) -> tuple[Tensor, Tensor]:
    """One step of every optimiser -> sums over this process's pictures: loss, right answers; float32, no gradient.

    The loss that is differentiated is the mean over the global batch, whatever this process's share of it.
    """
    with in_precision(precision, batch.inputs.device):
        output = network(batch.inputs).float()
    loss = cross_entropy(output, batch.targets, reduction="sum", label_smoothing=label_smoothing)
    for optimizer in optimizers:
        optimizer.zero_grad()
    (loss * (processes.count() / batch.size)).backward()
    for optimizer in optimizers:
        optimizer.step()
    expected = batch.targets if batch.targets.ndim == 1 else batch.targets.argmax(1)
    return loss.detach(), (output.argmax(1) == expected).sum().float()


@torch.inference_mode()
def _accuracy(model: Classifier, pictures: Prepared, device: torch.device, precision: torch.dtype) -> float:
    """Share of right answers, 0..1, in evaluation mode, in the precision of the training: in float32 a ResNet-18 on a
    CPU with bfloat16 takes a tenth longer for an epoch. The counts of a card are measured in float32 at the end."""
    model.eval()
    correct = count = 0
    for images, labels in pictures.batches():
        with in_precision(precision, device):
            answers = model(to_unit(images.to(device))).argmax(1)
        correct += int((answers.cpu() == labels).sum())
        count += len(labels)
    return correct / count
