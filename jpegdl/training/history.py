"""What training tells of itself: a record of each epoch, and of moments inside long ones. Standard library only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch left behind. Loss in nats, accuracies as shares 0..1, seconds of wall time."""

    number: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float
    precision: str  # of the network in training: "bfloat16" or "float32"; the layer computes in float32
    steps: list[Any] | None  # the layer's tables after the epoch, (rounds, 2, 8, 8); None without a layer at the input


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a long epoch stands: share done 0..1, seconds since it began, mean loss and accuracy so far."""

    epoch: int
    done: float
    seconds: float
    loss: float
    train_accuracy: float


Watch = Callable[[Moment], None]
