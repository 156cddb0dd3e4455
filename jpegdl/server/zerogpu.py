"""The GPU of a ZeroGPU Space, which exists only inside a decorated call. Anywhere else nothing changes.

Import this before torch: `spaces` replaces parts of torch.cuda and refuses to come second.

The decorated call runs in a forked child. A lock that another thread holds at that moment would stay locked there for
ever, so what runs there takes none (jpegdl/analysis/request.py).
"""

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

try:
    import spaces
except ImportError:  # not a Space
    spaces = None

# Asked for per call; must be left of the visitor's 2 to 5 minutes a day. One analysis takes less.
SECONDS = 5
ON_ZEROGPU = spaces is not None and os.environ.get("SPACES_ZERO_GPU") == "true"

if ON_ZEROGPU:  # a visitor's seconds are not for compiling; for one picture PyTorch is fast enough
    os.environ.setdefault("JPEGDL_KERNEL", "off")

P = ParamSpec("P")
R = TypeVar("R")


def gpu(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator for a module-level function that runs networks: on ZeroGPU the call gets a GPU, elsewhere it is
    `function` itself.

    Arguments and results are pickled there: numbers, text, CPU tensors and arrays. Networks are globals that were moved
    to "cuda" when the app was imported. Only gr.Error keeps its text on the way back.
    """
    return spaces.GPU(duration=SECONDS)(function) if ON_ZEROGPU else function


__all__ = ["ON_ZEROGPU", "gpu"]
