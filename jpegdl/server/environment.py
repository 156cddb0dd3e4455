"""What must be settled before torch and gradio are imported, because both read the environment once, at import.

Imports neither of them.
"""

import getpass
import inspect
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from jpegdl.pairs.cores import cpu_cores
from jpegdl.server.folders import make_private_folder, remove_folders_of_dead_runs
from jpegdl.server.memory import limit_memory_arenas

SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # neither telemetry nor a version check
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Gradio summarises all past events after each one: 7 ms at 10,000. Fewer events, every fiftieth time.
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "50",
    "GRADIO_ANALYTICS_MAX_EVENTS": "1000",
    "GRADIO_SSR_MODE": "False",  # on a Space this variable overrules launch(ssr_mode=False)
}
_folder: Path | None = None


def prepare_environment() -> Path:
    """Set what is not set yet, and return the folder for uploads and results; calling it again is harmless.

    The folder is private to this process and removed when it ends. It lies in GRADIO_TEMP_DIR if that was set outside,
    else where the system keeps temporary files; what killed processes left there is removed first.
    """
    global _folder
    if _folder is None:
        if "gradio" in sys.modules:
            raise RuntimeError("prepare_environment() was called after gradio was imported; call it before")
        place = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
        remove_folders_of_dead_runs(place)
        try:
            _folder = make_private_folder(place)
        except OSError as error:
            raise SystemExit(
                f"No folder can be made in {place} ({error.strerror}); name another place: GRADIO_TEMP_DIR=FOLDER."
            ) from None
        os.environ["GRADIO_TEMP_DIR"] = str(_folder)
        _set_what_is_not_set(_folder)
        _leave_stubs_alone()
    return _folder


def _set_what_is_not_set(folder: Path) -> None:
    # Cached examples are found by the example's path, so those of another checkpoint must not be there.
    settings = {**SETTINGS, "OMP_NUM_THREADS": str(cpu_cores()), "GRADIO_EXAMPLES_CACHE": str(folder / "examples")}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    _introduce_user(folder)
    local = (
        "localhost",
        "127.0.0.1",
        "::1",
    )  # Gradio asks its own server whether it runs, through a proxy if one is set
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(dict.fromkeys([*filter(None, os.environ.get(name, "").split(",")), *local]))
    limit_memory_arenas()


def _leave_stubs_alone() -> None:
    """Whenever Gradio is imported it writes type stubs of its components beside its own files, which takes about
    as long as the rest of the import. It does not for a component that has no file; so none has."""
    find = inspect.getfile

    def getfile(object: Any) -> str:
        if type(object).__name__ == "ComponentMeta":
            raise OSError(f"{object.__name__} gets no type stubs")
        return find(object)

    inspect.getfile = getfile


def _introduce_user(folder: Path) -> None:
    """A user whom the system does not know, without HOME (`docker --user`); libraries ask for both when imported."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(folder)
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user{os.getuid()}"


def results_folder() -> Path:
    """Where result pictures go: inside Gradio's own folder, from which it serves a file where it lies, uncopied."""
    return prepare_environment() / "results"


__all__ = ["prepare_environment", "results_folder"]
