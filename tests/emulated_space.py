"""Run as a program: app.py as on ZeroGPU, by the emulation of the `spaces` package itself, on a machine without a GPU.

Everything is the package's own (stand-ins for tensors, the forked worker, pickled arguments and results) but the three
steps that touch a device: nothing is packed to disk, no device is opened, and "moving" the networks to the GPU gives
the worker their numbers on the CPU. Takes the arguments of app.py.
"""

from collections.abc import Callable

import app  # imports spaces, in the order in which it does so on a Space

# isort: split
import spaces.zero.torch as device
from spaces.zero.torch.patching import cuda_aliases


def move(callback: Callable[[int], None] | None = None) -> None:
    for stand_in, original in cuda_aliases.items():
        stand_in.data = original


if __name__ == "__main__":
    device.pack = lambda: 0
    device.init = lambda uuid: None
    device.move = move
    app.main()
