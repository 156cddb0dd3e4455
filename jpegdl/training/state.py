"""The state of an arm in training, on disk: what an interruption leaves is the last epoch's, or the one before it."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from jpegdl.pairs.classifier import Classifier
from jpegdl.pairs.facts import Epoch
from jpegdl.pairs.reading import read
from jpegdl.pairs.storage import write_file

_DIGEST = 64  # hexadecimal digits of SHA-256 before the rest of the file


def previous(path: Path) -> Path:
    """Where the state of the epoch before lies."""
    return path.with_suffix(".previous")


def state_exists(path: Path) -> bool:
    return path.exists() or previous(path).exists()


def remove_state(path: Path) -> None:
    for file in (path, previous(path)):
        file.unlink(missing_ok=True)


def store(
    path: Path, run: dict[str, Any], model: Classifier, optimizers: Sequence[Optimizer], history: Sequence[Epoch]
) -> None:
    """Write the state and keep the one before it; `run` says what is trained."""
    state = {
        "run": run,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "history": json.dumps([asdict(epoch) for epoch in history]),
    }
    with suppress(FileNotFoundError):
        os.replace(path, previous(path))
    write_file(path, state_bytes(state))


def restore(
    path: Path, run: dict[str, Any], model: Classifier, optimizers: Sequence[Optimizer], device: torch.device
) -> list[Epoch]:
    """Put the newest whole state into model and optimisers -> the epochs so far.

    Raises ValueError for the state of another run, and where no file is whole.
    """
    damaged = []
    for file in (path, previous(path)):
        if not file.exists():
            continue
        try:
            state = read_state(file, device)
            known = state["run"]
        except Exception:  # whatever a damaged file makes of torch.load
            damaged.append(file.name)
            continue
        if known != run:
            raise ValueError(f"{file} belongs to another recipe or seed; remove it or choose another --out")
        try:
            model.load_state_dict(state["model"])
            for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            return [read(Epoch, epoch) for epoch in json.loads(state["history"])]
        except Exception:  # a whole file of something else
            damaged.append(file.name)
    names = " and ".join(damaged)
    raise ValueError(f"{names} in {path.parent} cannot be read; remove it to train this arm again from its start")


def epochs_done(path: Path) -> int:
    """How many epochs the newest whole state has behind it; 0 where there is none."""
    try:
        return len(json.loads(newest_state(path)["history"]))
    except ValueError:  # `restore` says what is wrong
        return 0


def newest_state(path: Path) -> dict[str, Any]:
    """The newest whole state of an arm, on the CPU. Raises ValueError where there is none."""
    for file in (path, previous(path)):
        try:
            return read_state(file, "cpu")
        except Exception:  # whatever a damaged file makes of torch.load
            continue
    raise ValueError(f"{path.name} in {path.parent} cannot be read; remove it to train this arm again from its start")


def state_bytes(state: dict[str, Any]) -> bytes:
    """A state as a file: the hash of the rest, then what torch.save writes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    return hashlib.sha256(data).hexdigest().encode() + data


def read_state(path: Path, device: torch.device | str) -> dict[str, Any]:
    """Raises ValueError for a file that is not as it was written, and whatever torch.load raises."""
    content = path.read_bytes()
    if hashlib.sha256(content[_DIGEST:]).hexdigest().encode() != content[:_DIGEST]:
        raise ValueError(f"{path} is damaged")
    state: dict[str, Any] = torch.load(io.BytesIO(content[_DIGEST:]), map_location=device, weights_only=True)
    return state
