"""Attacks on both arms of a pair, and beside every count what shows whether gradients were only hidden."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from jpegdl.analysis.attacks import art_modules, fgsm, look, pgd, pgd_last, smooth_backward, square, straight_through
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier
from jpegdl.pairs.evaluate import compare, logits, paired_counts
from jpegdl.pairs.measured import Attack, Backward, GradientChecks, RobustAccuracy
from jpegdl.pairs.prepare import to_unit

BACKWARDS: Mapping[Backward, Callable[[Classifier], nn.Module]] = {
    "layer": lambda model: model,
    "straight-through": straight_through,
    "smooth": smooth_backward,
}
FLAT = 1e-3  # slope of a quantizer below which a coefficient passes no gradient to speak of
HARD = 2.5  # hardness from which the authors' code calls a table entry hard
_WARM = 2  # pictures that warm up what is timed


class _Side(NamedTuple):
    """Half of a row: whose answers are counted, on whose examples, and how these are made."""

    victim: Arm
    source: Arm
    attack: Attack  # without its name, so that what is done in the same way is equal


class Moment(NamedTuple):
    """Where a row stands: pictures that `victim` has answered, passes of the network over those that are attacked."""

    attack: Attack
    victim: Arm
    done: int
    passes: int


Watch = Callable[[Moment], None]


def attack_pair(
    pair: ModelPair,
    images: Tensor,
    labels: Tensor,
    *,
    suite: Sequence[Attack],
    seed: int = 0,
    batch_size: int | None = None,
    watch: Watch = lambda moment: None,
) -> Iterator[RobustAccuracy]:
    """Attack both arms on prepared pictures, uint8 (N, 3, S, S), labels (N,); one row an attack, as it is done.

    Every row draws from `seed` alone, so it does not depend on
    the other rows, but on `batch_size`, which `pictures_at_once` gives. What an attack on the baseline shares with an
    earlier row is not done again. `watch` is told after every pass of a network that is attacked. Raises ValueError for
    a pair whose layer is not at the input, without pictures, or without ART for an attack that needs it.
    """
    if not len(images):
        raise ValueError("at least 1 picture must be attacked, got 0")
    refuse_impossible(pair, suite)
    return _rows(pair, images, labels, suite, seed, batch_size or pictures_at_once(images.shape[-1]), watch)


def refuse_impossible(pair: ModelPair, suite: Sequence[Attack]) -> None:
    """Raises ValueError for a pair whose layer is not at the input, or without ART for an attack that needs it."""
    if not isinstance(pair.jpegdl.codec, JPEGLayer):
        raise ValueError(f"{pair.card.name} has no JPEG layer at the input; attacks compare pairs that have one")
    if any(attack.method == "square" for attack in suite):
        art_modules()  # not to find it missing after an hour


def _rows(
    pair: ModelPair, images: Tensor, labels: Tensor, suite: Sequence[Attack], seed: int, batch_size: int, watch: Watch
) -> Iterator[RobustAccuracy]:
    baseline, jpegdl = (logits(pair.arm(arm), images, batch_size=batch_size) for arm in ARMS)
    clean = compare(baseline, jpegdl, labels.cpu())
    checks = check_gradients(pair, images, labels, batch_size=batch_size)
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
    known: dict[_Side, Tensor] = {}
    for attack in suite:
        both = _sides(attack)
        for side in both:
            if side not in known:
                known[side] = _survived(pair, side, batches, seed, partial(_told, watch, attack, side.victim))
        attacked = paired_counts(*(known[side] for side in both))
        yield RobustAccuracy(attack=attack, clean=clean, attacked=attacked, checks=checks, seed=seed)


def _survived(
    pair: ModelPair,
    side: _Side,
    batches: Sequence[tuple[Tensor, Tensor]],
    seed: int,
    tell: Callable[[int, int], None],
) -> Tensor:
    """Which pictures are answered rightly under attack, bool (N,); `tell` hears how many of them are done."""
    model, generator = BACKWARDS[side.attack.backward](pair.arm(side.source)), torch.Generator().manual_seed(seed)
    rows: list[Tensor] = []
    for pictures, wanted in batches:
        wanted, passes, done = wanted.to(pair.device), count(1), sum(map(len, rows))
        with model.register_forward_hook(lambda *_, passes=passes, done=done: tell(done, next(passes))):
            examples = make_examples(side.attack, model, to_unit(pictures.to(pair.device)), wanted, generator)
        with torch.no_grad():
            rows.append((pair.arm(side.victim)(examples).argmax(1) == wanted).cpu())
    return torch.cat(rows)


def seconds_at_most(pair: ModelPair, images: Tensor, labels: Tensor, *, suite: Sequence[Attack]) -> float:
    """How long `attack_pair` takes here if no picture fools a network before the last step.

    From one look of each arm at one batch. Long PGD and Square leave out what is fooled, so they may take far less.
    """
    looks = dict.fromkeys(ARMS, 1)  # at each picture; the first is that of the checks
    passes = dict.fromkeys(ARMS, 1)  # without a gradient; the first is for the clean answer
    for side in {side for attack in suite for side in _sides(attack)}:
        looks[side.source] += _looks(side.attack)
        passes[side.source] += side.attack.steps + 2 if side.attack.method == "square" else 0
        passes[side.victim] += 1
    at_once = min(len(images), pictures_at_once(images.shape[-1]))
    batch, wanted = to_unit(images[:at_once].to(pair.device)), labels[:at_once].to(pair.device)
    seconds = 0.0
    for arm in ARMS:
        model = pair.arm(arm)
        look(model, batch[:_WARM], wanted[:_WARM])
        started = time.perf_counter()
        look(model, batch, wanted).losses.sum().item()  # waits for the device
        looked = time.perf_counter()
        with torch.no_grad():
            model(batch).sum().item()
        seconds += looks[arm] * (looked - started) + passes[arm] * (time.perf_counter() - looked)
    return seconds * len(images) / at_once


def _looks(attack: Attack) -> int:
    """At most so many gradients of each picture."""
    match attack.method:
        case "fgsm":
            return 1
        case "pgd-last":
            return attack.steps
        case "pgd":
            return 1 + attack.restarts * (attack.steps + 1)
        case "square":
            return 0


def _sides(attack: Attack) -> list[_Side]:
    sides = []
    for victim in ARMS:
        source = ARMS[1 - ARMS.index(victim)] if attack.transferred else victim
        # without a layer, all ways back through it are one
        same = replace(attack, name="", backward="layer" if source == "baseline" else attack.backward)
        sides.append(_Side(victim, source, same))
    return sides


def _told(watch: Watch, attack: Attack, victim: Arm, done: int, passes: int) -> None:
    watch(Moment(attack, victim, done, passes))


def pictures_at_once(side: int) -> int:
    """Pictures (side x side) in a batch: as many pixels as 32 of 224, and never more than 256.

    Few of a batch withstand an attack for long, and the rest of its steps is no slower for more of them.
    """
    return min(256, max(1, 32 * 224**2 // side**2))


def make_examples(
    attack: Attack, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator
) -> Tensor:
    """Examples of one attack for images (N, 3, H, W) in [0, 1]; `model` already has the attack's way back."""
    eps, steps, step_size = attack.epsilon, attack.steps, attack.step_size
    match attack.method:
        case "fgsm":
            return fgsm(model, images, labels, eps)
        case "pgd-last":
            return pgd_last(model, images, labels, eps, steps=steps, step_size=step_size, generator=generator)
        case "pgd":
            restarts = attack.restarts
            return pgd(
                model, images, labels, eps, steps=steps, step_size=step_size, restarts=restarts, generator=generator
            )
        case "square":
            return square(model, images, labels, eps, queries=steps, generator=generator)


def check_gradients(pair: ModelPair, images: Tensor, labels: Tensor, *, batch_size: int = 32) -> GradientChecks:
    """Measure what hides gradients, on prepared pictures, uint8 (N, 3, S, S), labels (N,)."""
    pictures, values, flat = dict.fromkeys(ARMS, 0.0), dict.fromkeys(ARMS, 0.0), 0.0
    for part, wanted in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        batch = to_unit(part.to(pair.device))
        for arm in ARMS:
            zero = (look(pair.arm(arm), batch, wanted.to(pair.device)).gradient == 0).flatten(1)
            pictures[arm] += zero.all(1).sum().item() / len(images)
            values[arm] += zero.float().mean(1).sum().item() / len(images)
        flat += _flat_share(pair.codec, batch) * len(batch) / len(images)
    entries = pair.alphas * pair.tables**2  # (rounds, 2, 8, 8), dimensionless hardness
    return GradientChecks(
        n=len(images),
        zero_gradient_pictures=pictures,
        zero_gradient_values=values,
        flat_coefficients=flat,
        median_hardness=float(np.median(entries)),
        median_hardness_luma=float(np.median(entries[:, 0])),
        median_hardness_chroma=float(np.median(entries[:, 1])),
        hard_entries=float((entries > HARD).mean()),
    )


def _flat_share(codec: JPEGLayer, images: Tensor) -> float:
    """Share of the images' coefficients at which the slope of all rounds together is below FLAT."""
    with torch.enable_grad():
        coefficients = codec.coefficients(images).requires_grad_()
        (slope,) = torch.autograd.grad(codec.quantize(coefficients).sum(), coefficients)
    return (slope.abs() < FLAT).float().mean().item()
