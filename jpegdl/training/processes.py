"""Several processes that train one network together (torchrun), and the one that is alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

_PATIENCE = timedelta(hours=6)  # the first process measures on large test sets while the others wait


@contextmanager
def processes(device: torch.device) -> Iterator[torch.device]:
    """Join the group that torchrun started, if it did, and leave it at the end; yields this process's device.

    NCCL between GPUs (one a process), gloo between CPUs.
    """
    if "LOCAL_RANK" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def together(model: nn.Module) -> nn.Module:
    """The model as the group trains it: gradients are averaged in the backward pass. Alone, the model itself."""
    if count() == 1:
        return model
    return DistributedDataParallel(model)


def total(values: Tensor) -> Tensor:
    """Sum of `values` over the processes, in place."""
    if count() > 1:
        dist.all_reduce(values)
    return values


def wait() -> None:
    """Until every process is here."""
    if count() > 1:
        dist.barrier()
