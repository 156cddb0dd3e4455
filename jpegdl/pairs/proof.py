"""Do loaded networks answer as they did when they were measured? A drawn picture, and its stored first answers."""

import torch
from torch import Tensor

from jpegdl.pairs.classifier import ARMS, Arm, Classifier
from jpegdl.pairs.evaluate import logits
from jpegdl.pairs.measured import Answer, Proof

TOLERANCE = 1e-3  # of a probability: more than other processors and thread counts differ by
_ANSWERS = 5


def triangle_waves(size: int) -> Tensor:
    """A picture of the same pixels everywhere, uint8 (3, size, size): waves of whole numbers, of no data set."""
    rows, columns = torch.arange(size)[:, None], torch.arange(size)
    waves = [(rows * (7 + 4 * channel) + columns * (13 - 3 * channel)) % 510 - 255 for channel in range(3)]
    return torch.stack(waves).abs().to(torch.uint8)


def prove(arm: Classifier, size: int) -> tuple[Answer, ...]:
    """An arm's first five answers to the picture, the most probable first."""
    probabilities = logits(arm, triangle_waves(size)[None]).double().softmax(1)[0]
    first = probabilities.topk(min(_ANSWERS, len(probabilities)))
    return tuple(
        Answer(class_index=int(index), probability=float(f"{value:.6g}"))
        for value, index in zip(first.values.tolist(), first.indices.tolist(), strict=True)
    )


def difference(proof: Proof, arm: Arm, model: Classifier, size: int) -> float:
    """The largest difference between a stored probability and the one that `model` gives the same class."""
    probabilities = logits(model, triangle_waves(size)[None]).double().softmax(1)[0]
    return max(abs(float(probabilities[a.class_index]) - a.probability) for a in proof.answers[arm])


def make_proof(baseline: Classifier, jpegdl: Classifier, size: int) -> Proof:
    models = dict(zip(ARMS, (baseline, jpegdl), strict=True))
    return Proof(formula="triangle waves", answers={arm: prove(model, size) for arm, model in models.items()})
