"""Memory that a command frees and takes again stays in its process."""

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h
_OF_THE_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> None:
    """Networks free and take the same large tensors at every step. glibc maps each anew and gives it back, and then the
    system clears its pages again: with ResNet-18 at 224 px a fifth of the processor time.

    What a user has set in the environment stays. Other C libraries are left as they are."""
    if platform.libc_ver()[0] == "glibc" and not any(name in os.environ for name in _OF_THE_USER):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)


__all__ = ["keep_freed_memory"]
