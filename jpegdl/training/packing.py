"""An unfinished run as one file: what cannot be computed again, rounded, with a hash of every part."""

import hashlib
import io
import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from jpegdl.pairs.arms import stored_tensor
from jpegdl.pairs.storage import new_folder, write_file
from jpegdl.training.settings import read_settings
from jpegdl.training.state import newest_state, state_bytes

_HASHES = "hashes.json"
_STATE, _PREVIOUS = ".state", ".previous"


def pack(work: Path, file: Path) -> int:
    """Write the run in `work` into a new `file`; returns its bytes.

    Finished arms and seeds go as they are. Of an arm in training the weights become float16, as they are stored in the
    end, and the optimisers' moments bfloat16, whose range is float32's; tables stay float32. So a run that has crossed
    machines goes on from a rounded state, not bit for bit. Raises ValueError for a folder that holds no run.
    """
    read_settings(work)
    if file.exists():
        raise ValueError(f"{file} exists; choose another file or remove it")
    parts = {}
    files = {path for path in work.rglob("*") if path.is_file()}
    # Of a state that is being written at this moment only the one before it is there.
    states = {path.with_suffix(_STATE) for path in files if path.suffix == _PREVIOUS}
    for path in sorted(states | {path for path in files if path.suffix != _PREVIOUS}):
        name = path.relative_to(work).as_posix()
        if any(part.startswith(".") for part in PurePosixPath(name).parts):
            continue
        parts[name] = state_bytes(_rounded(newest_state(path))) if path.suffix == _STATE else path.read_bytes()
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_HASHES, json.dumps(hashes))
        for name, data in parts.items():
            archive.writestr(name, data)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, packed.getvalue())
    return file.stat().st_size


def unpack(file: Path, work: Path) -> None:
    """Put a packed run into the new folder `work`. Raises ValueError for a file that is not as `pack` wrote it."""
    if work.exists():
        raise ValueError(f"{work} holds a run; go on with it, or remove it first")
    try:
        with zipfile.ZipFile(file) as archive:
            hashes = json.loads(archive.read(_HASHES))
            parts = {name: archive.read(name) for name in hashes}
        whole = all(hashlib.sha256(data).hexdigest() == hashes[name] for name, data in parts.items())
    except FileNotFoundError:
        raise ValueError(f"{file} does not exist; pack a run first") from None
    except Exception:  # whatever a damaged file makes of zipfile
        whole = False
    if not whole:
        raise ValueError(f"{file} is damaged, or no packed run; copy it again")
    if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name for name in parts):
        raise ValueError(f"{file} names files outside its folder; it was not written by pack")
    with new_folder(work) as staged:
        for name, data in parts.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            write_file(staged / name, data)
        read_settings(staged)


def _rounded(state: dict[str, Any]) -> dict[str, Any]:
    model = {key: stored_tensor(key, value) for key, value in state["model"].items()}
    return state | {"model": model, "optimizers": [_moments(optimizer) for optimizer in state["optimizers"]]}


def _moments(state: dict[str, Any]) -> dict[str, Any]:
    """An optimiser's state with the moments of every large parameter in bfloat16; tables have 128 entries a round."""
    kept = {
        number: {key: value.bfloat16() if _large(value) else value for key, value in values.items()}
        for number, values in state["state"].items()
    }
    return state | {"state": kept}


def _large(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float32 and value.numel() > 16 * 128
