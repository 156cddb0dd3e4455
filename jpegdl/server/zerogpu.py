"""The GPU of a ZeroGPU Space, which exists only inside a decorated call. Anywhere else nothing changes.

Import this before torch: there, `spaces` replaces parts of torch.cuda and refuses to come second. Outside the decorated
call the networks' tensors are stand-ins without numbers, in every thread but the first; so nothing but the call may
read one. It runs in a forked child: what runs there takes no lock that another thread could hold at that moment.
"""

import os
from collections.abc import Callable
from typing import Protocol, TypeVar

try:
    if ON_ZEROGPU := os.environ.get("SPACES_ZERO_GPU") == "true":
        import spaces
except ImportError:  # not a Space, whatever the variable says
    ON_ZEROGPU = False

if ON_ZEROGPU:  # a visitor's seconds are not for compiling; for one picture PyTorch is fast enough
    os.environ.setdefault("JPEGDL_KERNEL", "off")


class Timed(Protocol):
    @property
    def seconds(self) -> float:
        """About how long it takes at the most."""


Q = TypeVar("Q", bound=Timed)
R = TypeVar("R")


def gpu(function: Callable[[Q], R]) -> Callable[[Q], R]:
    """Decorator for a module-level function that runs networks: on ZeroGPU the call gets a GPU for as long as the
    request asks, and no longer, because it must be left of the visitor's few minutes a day; elsewhere it is `function`
    itself.

    Argument and result are pickled there: numbers, text and arrays. Networks are globals that were moved to "cuda" when
    the app was imported. A spent quota is a gr.Error with its reason; of errors inside only gr.Error keeps its text.
    """
    return spaces.GPU(duration=_seconds)(function) if ON_ZEROGPU else function


def _seconds(request: Timed) -> float:
    return request.seconds


__all__ = ["ON_ZEROGPU", "gpu"]
