"""What must be settled before torch and gradio are imported, because both read the environment once, at import.

Imports neither of them.
"""

import atexit
import ctypes
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from jpegdl.pairs.cores import cpu_cores

SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # neither telemetry nor a version check
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Gradio summarises all past events after each one: 7 ms at 10,000. Fewer events, every fiftieth time.
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "50",
    "GRADIO_ANALYTICS_MAX_EVENTS": "1000",
    "GRADIO_SSR_MODE": "False",  # on a Space this variable overrules launch(ssr_mode=False)
}
_M_ARENA_MAX = -8  # from glibc's malloc.h


def prepare_environment() -> Path:
    """Set what is not set yet, and return the folder for uploads and results; calling it again is harmless.

    The folder is private to this process and removed when it ends (not by a kill). A GRADIO_TEMP_DIR that was set
    outside is used as it is, and stays.
    """
    if "GRADIO_TEMP_DIR" not in os.environ:
        if "gradio" in sys.modules:
            raise RuntimeError("prepare_environment() was called after gradio was imported; call it before")
        os.environ["GRADIO_TEMP_DIR"] = _private_folder()
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    # Cached examples are found by the example's path, so those of another checkpoint must not be there.
    settings = {**SETTINGS, "OMP_NUM_THREADS": str(cpu_cores()), "GRADIO_EXAMPLES_CACHE": str(folder / "examples")}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    _limit_memory_arenas()
    return folder


def results_folder() -> Path:
    """Where result pictures go: inside Gradio's own folder, from which it serves a file where it lies, uncopied."""
    return prepare_environment() / "results"


def _private_folder() -> str:
    folder = tempfile.mkdtemp(prefix="jpegdl-explorer-")  # readable by this user only
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not when a forked child ends
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _limit_memory_arenas() -> None:
    """What MALLOC_ARENA_MAX=2 does, which must be set before the process starts: glibc keeps a heap per thread, up to
    8 per core, and none of them gives decoded pictures back to the others."""
    if platform.libc_ver()[0] == "glibc" and "MALLOC_ARENA_MAX" not in os.environ:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


__all__ = ["prepare_environment", "results_folder"]
