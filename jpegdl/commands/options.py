"""Options that several commands share."""

import argparse
from typing import Protocol

import torch


class Commands(Protocol):
    """Where a group adds its commands: what argparse's add_subparsers returns, whose class is private."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser: ...


def add_threads(parser: argparse.ArgumentParser) -> None:
    """--threads; `jpegdl.__main__` sets them before the command runs."""
    parser.add_argument("--threads", type=int, help="CPU threads of torch")


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device and --threads, of commands that run networks."""
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add_threads(parser)
