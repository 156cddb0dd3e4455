"""Memory that a long-running server took from the system and no longer needs. Only glibc is told anything."""

import ctypes
import gc
import os
import platform

RELEASE_SECONDS = 10.0  # between two releases, each of which takes a few milliseconds

_IS_GLIBC = platform.libc_ver()[0] == "glibc"
_M_ARENA_MAX = -8  # from glibc's malloc.h


def stop_collecting() -> None:
    """Imports make a million objects that stay; to look again and again for garbage among them takes a quarter of the
    time of a start."""
    gc.disable()


def collect_from_here_on() -> None:
    """Collect once; what is there then stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def limit_memory_arenas() -> None:
    """What MALLOC_ARENA_MAX=2 does, which must be set before the process starts: glibc keeps a heap per thread, up to
    8 per core, and none of them gives decoded pictures back to the others."""
    if _IS_GLIBC and "MALLOC_ARENA_MAX" not in os.environ:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def release_freed_memory() -> None:
    """Give free pages inside the heaps back to the system. Answers that are kept lie between the large tensors of a
    pass, so that glibc by itself keeps what the largest passes took."""
    if _IS_GLIBC:
        ctypes.CDLL(None).malloc_trim(0)


__all__ = [
    "RELEASE_SECONDS",
    "collect_from_here_on",
    "limit_memory_arenas",
    "release_freed_memory",
    "stop_collecting",
]
