"""Building kernel.cpp once, for a version of its source, of PyTorch, of the system and of the processor.

Libraries lie in the folder of torch's extensions (TORCH_EXTENSIONS_DIR, else ~/.cache/torch_extensions). A file's name
ends with the hash of what it holds, so one that was cut off or damaged is seen before the system loads it, which may
kill the process, and is built anew; and processes that build at once cannot mix their results.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("kernel.cpp")
# Tried in this order: a compiler may know neither this processor's name nor OpenMP (then one thread).
FLAGS = (("-march=native", "-fopenmp"), ("-fopenmp",), ())
_SECONDS = 300.0  # for one attempt to compile
_CPUINFO = Path("/proc/cpuinfo")

_log = logging.getLogger(__name__)


def library(attempts: Sequence[Sequence[str]] | None = None) -> Path:
    """Path of the shared library, compiled with the first of the `attempts` (sets of flags) that works.

    Raises RuntimeError, with what to do, if none does or there is no place for the result.
    """
    processor = _processor()
    if attempts is None:  # without a name for this processor, its library could not be told from another's
        attempts = FLAGS if processor else FLAGS[1:]
    compiler, folder = _compiler(), _folder()
    system = (platform.system(), platform.machine(), *platform.libc_ver())
    facts = repr((compiler, attempts, torch.__version__, torch.version.git_version, system, processor))
    key = hashlib.sha256(SOURCE.read_bytes() + b"\0" + facts.encode()).hexdigest()[:16]
    for path in sorted(folder.glob(f"kernel-{key}-*.so")):
        if _is_whole(path):
            return path
        with suppress(OSError):
            path.unlink()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            _log.warning("Building the compiled JPEG layer once, into %s; this takes seconds to a minute.", folder)
            made = _compile(compiler, attempts, Path(temporary) / "kernel.so")
            path = folder / f"kernel-{key}-{_hash(made)}.so"
            os.replace(made, path)
    except OSError as error:
        raise RuntimeError(
            f"{folder} cannot be written ({error.strerror}); name another folder in TORCH_EXTENSIONS_DIR"
        ) from error
    return path


def _compile(compiler: list[str], attempts: Sequence[Sequence[str]], made: Path) -> Path:
    root = Path(torch.__file__).parent
    paths = [f"-I{root / 'include'}", f"-I{root / 'include/torch/csrc/api/include'}", f"-L{root / 'lib'}"]
    said = "no compiler flags given"
    for flags in attempts:
        command = [*compiler, "-std=c++20", "-O3", "-shared", "-fPIC", "-w", *flags, str(SOURCE), "-o", str(made)]
        command += [*paths, "-ltorch_cpu", "-lc10"]
        try:
            run = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        except (FileNotFoundError, PermissionError):
            raise RuntimeError(f"there is no C++ compiler {compiler[0]}; install g++, or name one in CXX") from None
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{compiler[0]} was not done after {_SECONDS:g} seconds") from None
        said = run.stderr.decode("utf-8", "replace").strip()[-300:]
        if run.returncode == 0:
            try:
                ctypes.CDLL(str(made))
            except OSError as error:
                said = str(error)
            else:
                return made
    raise RuntimeError(f"{shlex.join(compiler)} failed: {said}")


def _compiler() -> list[str]:
    """The words of CXX ("ccache g++"), the system's compiler where it is empty."""
    return shlex.split(os.environ.get("CXX", ""), posix=os.name != "nt") or ["c++"]


def _folder() -> Path:
    named = os.environ.get("TORCH_EXTENSIONS_DIR")
    if not named:
        try:
            named = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        except RuntimeError:
            raise RuntimeError("this user has no home folder; name a folder in TORCH_EXTENSIONS_DIR") from None
        named = f"{named}/torch_extensions"
    return Path(named) / "jpegdl"


def _is_whole(path: Path) -> bool:
    try:
        return path.stem.endswith(f"-{_hash(path)}")
    except OSError:
        return False


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _processor() -> tuple[str, ...]:
    """What "this processor" means to a compiler, as far as the system says; homes are shared between machines."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    told = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU implementer", "CPU part")
    return tuple(sorted({line for line in lines if line.startswith(told)}))
