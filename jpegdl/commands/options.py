"""Options that several commands share, and values that options refuse in a sentence."""

import argparse
import math
from collections.abc import Callable
from typing import Protocol

import torch


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
