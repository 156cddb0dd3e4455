"""What training tells of itself inside long epochs; of whole ones it leaves `pairs.facts.Epoch`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a long epoch stands: share done 0..1, seconds since it began, mean loss and accuracy so far."""

    epoch: int
    done: float
    seconds: float
    loss: float
    train_accuracy: float


Watch = Callable[[Moment], None]
