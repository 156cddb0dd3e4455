"""Options that several commands share, and values that options refuse in a sentence."""

import argparse
import math
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import torch

from jpegdl.pairs.checkpoints import CARD
from jpegdl.pairs.recipe import Recipe
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.settings import work_folder


class Commands(Protocol):
    """Where a group adds its commands: what argparse's add_subparsers returns, whose class is private."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser: ...


def add_threads(parser: argparse.ArgumentParser) -> None:
    """--threads; `jpegdl.__main__` sets them before the command runs."""
    parser.add_argument("--threads", type=count, help="CPU threads of torch")


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device and --threads, of commands that run networks."""
    parser.add_argument("--device", type=device, default="cuda" if torch.cuda.is_available() else "cpu")
    add_threads(parser)


def add_seeds(parser: argparse.ArgumentParser, default: Sequence[int], help: str | None = None) -> None:
    """--seeds, each of which is a run."""
    parser.add_argument("--seeds", type=seed, nargs="+", action=_Different, default=list(default), help=help)


class _Different(argparse.Action):
    """Values of which no two are the same."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        if len(set(values)) < len(values):
            raise argparse.ArgumentError(self, f"must be different, got {' '.join(map(str, values))}")
        setattr(namespace, self.dest, values)


def existing_file(text: str) -> Path:
    """A file that can be read later; what it holds is not looked at."""
    file = Path(text)
    if not file.is_file():
        raise argparse.ArgumentTypeError(f"{file} is {'no file' if file.exists() else 'not there'}; pass a file")
    return file


def folder(text: str) -> Path:
    """The folder of a pair, with a name also where it is given as `.`: what lies beside it is called after it."""
    given = Path(text)
    return given if given.name not in ("", "..") else given.resolve()


def pair_folder(text: str) -> Path:
    """The folder of a pair that is complete enough to have a card."""
    found = folder(text)
    try:
        wrong = _wrong_with(found)
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
    if wrong:
        raise argparse.ArgumentTypeError(f"{found} {wrong}")
    return found


def _wrong_with(folder: Path) -> str:
    """Why a folder is no complete pair, and what to do; empty if it is one."""
    if (folder / CARD).is_file():
        return ""
    if work_folder(folder.absolute()).is_dir():
        return "is in training; go on with `train --resume`"
    if not folder.is_dir():
        return f"is {'a file' if folder.exists() else 'not there'}; pass the folder of a pair, such as checkpoints/NAME"
    if inside := sorted(card.parent.name for card in folder.glob(f"*/{CARD}")):
        return f"is no pair, but holds {len(inside)}; pass one of them, such as {folder / inside[0]}"
    return f"has no {CARD}, so it is no pair; restore the file, or pass the folder of a pair"


def known_recipe(text: str) -> Recipe:
    """A recipe by its name."""
    if text not in RECIPES:
        near = get_close_matches(text, RECIPES)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise argparse.ArgumentTypeError(f"no recipe is called {text}{meant}; `train --list` has all names")
    return RECIPES[text]


def count(text: str) -> int:
    """A whole number, 1 or more."""
    return int(_number(text, lambda value: value.is_integer() and value >= 1, "a whole number, 1 or more"))


def seed(text: str) -> int:
    """A whole number that random generators take."""
    return int(_number(text, lambda value: value.is_integer() and 0 <= value < 2**32, "a whole number, 0 to 2^32 - 1"))


def grey_levels(text: str) -> float:
    """A positive number of grey levels, as the size of an attack."""
    return _number(text, lambda value: 0 < value <= 255, "above 0 and at most 255")


def device(text: str) -> torch.device:
    """A device that this computer has."""
    try:
        found = torch.device(text)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError):  # torch's answers to an unknown name and to a missing device
        raise argparse.ArgumentTypeError(f"must be cpu or a GPU that torch can use here, got {text}") from None
    return found


def _number(text: str, accepted: Callable[[float], bool], wanted: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not accepted(value):
        raise argparse.ArgumentTypeError(f"must be {wanted}, got {text}")
    return value
