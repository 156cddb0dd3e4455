"""Attacks on both arms of a pair, and beside every count what shows whether gradients were only hidden."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from jpegdl.analysis.attacks import art_modules, fgsm, look, pgd, pgd_last, smooth_backward, square, straight_through
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.chances import fisher
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
CLEAR = 0.05  # p from which rows of different pictures differ
HARD = 2.5  # hardness from which the authors' code calls a table entry hard
_NAMES: Mapping[Arm, str] = {"baseline": "the baseline", "jpegdl": "JPEG-DL"}


def attack_pair(
    pair: ModelPair,
    images: Tensor,
    labels: Tensor,
    *,
    suite: Sequence[Attack],
    limit: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Iterator[RobustAccuracy]:
    """Attack both arms on prepared pictures, uint8 (N, 3, S, S), labels (N,); one row an attack, as it is done.

    `limit`: so many pictures, spread evenly over the set. Every row draws from `seed` alone, so it does not depend on
    the other rows, but on `batch_size`, which `pictures_at_once` gives. What an attack on the baseline shares with an
    earlier row is not done again. Raises ValueError for a pair whose layer is not at the input, or without pictures,
    before the first row.
    """
    if not len(images) or (limit is not None and limit < 1):
        raise ValueError(f"at least 1 picture must be attacked, got {len(images)} with a limit of {limit}")
    if not isinstance(pair.jpegdl.codec, JPEGLayer):
        raise ValueError(f"{pair.card.name} has no JPEG layer at the input; attacks compare pairs that have one")
    if any(attack.method == "square" for attack in suite):
        art_modules()  # not to find it missing after an hour
    if limit is not None:
        chosen = torch.linspace(0, len(images) - 1, min(limit, len(images))).round().long()
        images, labels = images[chosen], labels[chosen]
    batch_size = batch_size or pictures_at_once(images.shape[-1])
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))

    @cache
    def survived(victim: Arm, source: Arm, attack: Attack) -> Tensor:
        model, generator = BACKWARDS[attack.backward](pair.arm(source)), torch.Generator().manual_seed(seed)
        rows = []
        for pictures, wanted in batches:
            wanted = wanted.to(pair.device)
            examples = make_examples(attack, model, to_unit(pictures.to(pair.device)), wanted, generator)
            with torch.no_grad():
                rows.append((pair.arm(victim)(examples).argmax(1) == wanted).cpu())
        return torch.cat(rows)

    baseline, jpegdl = (logits(pair.arm(arm), images, batch_size=batch_size) for arm in ARMS)
    clean = compare(baseline, jpegdl, labels.cpu())
    checks = check_gradients(pair, images, labels, batch_size=batch_size)
    for attack in suite:
        sides = []
        for victim in ARMS:
            source = ARMS[1 - ARMS.index(victim)] if attack.transferred else victim
            # without a layer, all ways back through it are one
            same = replace(attack, name="", backward="layer" if source == "baseline" else attack.backward)
            sides.append(survived(victim, source, same))
        yield RobustAccuracy(attack=attack, clean=clean, attacked=paired_counts(*sides), checks=checks, seed=seed)


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


def masking_signs(rows: Sequence[RobustAccuracy], arm: Arm) -> list[str]:
    """Sentences on what in an arm's rows points at hidden gradients instead of robustness, or none.

    Signs are: at the same budget, an attack that leaves fewer right answers than one that should be stronger (few steps
    against many; no gradient, another network's or one past the layer against the network's own); a larger budget that
    leaves more to an attack that searches in it; a layer that is flat for most coefficients. A single picture is
    enough, but rows of other numbers of pictures are set against each other by Fisher's exact test. n is in the
    sentence.
    """
    signs = [
        f"{weak.attack.name} left {_NAMES[arm]} {_of(weak, arm)} right answers at {_budget(weak)}, "
        f"{strong.attack.name} left {_of(strong, arm)} at {_budget(strong)}: {why}"
        for weak in rows
        for strong in rows
        if (why := _expected(weak.attack, strong.attack)) and _leaves_fewer(weak, strong, arm)
    ]
    if arm == "jpegdl" and rows and rows[0].checks.flat_coefficients > 0.5:
        share = rows[0].checks.flat_coefficients
        signs.append(f"the layer passes no gradient for {share:.0%} of the coefficients")
    return signs


def _leaves_fewer(first: RobustAccuracy, second: RobustAccuracy, arm: Arm) -> bool:
    (one, of_one), (other, of_other) = [(row.attacked.correct(arm), row.attacked.n) for row in (first, second)]
    if of_one == of_other:
        return one < other
    fewer = one * of_other < other * of_one
    return fewer and fisher((one, other), (of_one, of_other)) < CLEAR


def _of(row: RobustAccuracy, arm: Arm) -> str:
    return f"{row.attacked.correct(arm)} of {row.attacked.n}"


def _budget(row: RobustAccuracy) -> str:
    return f"{255 * row.attack.epsilon:.3g}/255"


def _expected(weak: Attack, strong: Attack) -> str:
    """Why `strong` should leave no more right answers than `weak`; empty if nothing is expected of the two."""
    if weak.name == strong.name:
        searches = weak.method != "fgsm"  # whose one step ends at the border of its budget, wherever that is
        return "a larger budget contains the smaller one" if weak.epsilon < strong.epsilon and searches else ""
    own = strong.method in ("pgd", "pgd-last") and strong.backward == "layer" and not strong.transferred
    if weak.epsilon != strong.epsilon or not own:
        return ""
    if weak.method != "square" and weak.backward == "layer" and not weak.transferred:
        return "more steps should find no fewer errors" if weak.steps < strong.steps else ""
    if strong.method != "pgd":  # the paper's few steps are weak for other reasons too
        return ""
    if weak.method == "square":
        return "an attack without gradients should find no more errors than one with them"
    if weak.transferred:
        return "examples made on another network should fool it no more than its own"
    return "a gradient past the layer should find no more errors than the layer's own"
