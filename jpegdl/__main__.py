"""Command line: python -m jpegdl COMMAND; what there is says --help."""

import argparse
import io
import os
import sys

import torch

from jpegdl.commands import attack, compare, evaluate, pack, prove, reproduce, results, tables, train
from jpegdl.commands.memory import keep_freed_memory
from jpegdl.pairs.cores import cpu_cores

GROUPS = (train, pack, reproduce, evaluate, prove, attack, results, tables, compare)


def main() -> int:
    for stream in (sys.stdout, sys.stderr):  # a pipe or a file of another encoding loses a sign, not the command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    arguments = parser().parse_args()
    keep_freed_memory()
    # torch counts the machine's cores, a container may have fewer
    torch.set_num_threads(arguments.threads or min(torch.get_num_threads(), cpu_cores()))
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough, as in `train --list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's own flush at the end fails again
        return 141  # as a shell calls it
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, torch.OutOfMemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """Every command with its options; a parsed command is run by its `run`."""
    whole = argparse.ArgumentParser(prog="python -m jpegdl", description="Train and measure baseline / JPEG-DL pairs.")
    commands = whole.add_subparsers(required=True, metavar="command")
    for group in GROUPS:
        group.add(commands)
    return whole


if __name__ == "__main__":
    sys.exit(main())
