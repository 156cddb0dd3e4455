"""reproduce: every cell of one of the paper's tables trained, counted and recorded; continued where it stopped."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from jpegdl.analysis.results.paper import figure_text
from jpegdl.commands.cells import TABLES, Cell, Work, cells, counted, settings, trained, work
from jpegdl.commands.jobs import Job, run_jobs
from jpegdl.commands.options import Commands, add_device, add_seeds, count
from jpegdl.commands.progress import duration
from jpegdl.commands.results import record_pair, write_results
from jpegdl.pairs.cores import cpu_cores
from jpegdl.pairs.recipe import with_epochs
from jpegdl.pairs.seeds import seeds_text
from jpegdl.pairs.storage import alone_in
from jpegdl.training.precision import native_precision

_SHARE = 0.9  # of a GPU's free memory that is given out


def add(commands: Commands) -> None:
    reproduce = commands.add_parser("reproduce", help="train, count and record all cells of one of the paper's tables")
    reproduce.set_defaults(run=_reproduce)
    reproduce.add_argument("table", choices=TABLES)
    reproduce.add_argument("--data", type=Path, required=True, help="folder with the data sets, or of the one")
    reproduce.add_argument("--only", nargs="+", default=[], help="recipes whose names hold one of these texts")
    add_seeds(reproduce, [0, 1, 2])
    reproduce.add_argument("--plan", action="store_true", help="print the cells and their time here, and stop")
    reproduce.add_argument("--at-once", type=count, help="runs that share a GPU; without it, as many as fit")
    reproduce.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the pairs that are trained")
    reproduce.add_argument("--records", type=Path, default=Path("docs/results"), help="folder of their cards")
    reproduce.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="pairs for the results page")
    reproduce.add_argument("--results", type=Path, default=Path("docs/results.md"), help="page that is rewritten")
    reproduce.add_argument("--input-size", type=int, help="pixels, instead of the recipes'")
    reproduce.add_argument("--epochs", type=int, help="instead of the recipes'; schedules keep their shape")
    add_device(reproduce)


def _reproduce(arguments: argparse.Namespace) -> None:
    planned = [_adapted(cell, arguments) for cell in cells(arguments.table, arguments.only, arguments.data)]
    unfinished = dict(_plan(planned, arguments))
    if arguments.plan or not unfinished:
        return
    arguments.runs.mkdir(parents=True, exist_ok=True)
    busy = f"another run still trains in {arguments.runs}; wait for it, stop it, or choose --runs"
    with alone_in(arguments.runs, busy=busy) as held:
        failed = [cell.recipe.name for cell in _train(unfinished, arguments, held)]
    if failed:
        raise ValueError(f"{', '.join(failed)} failed; see above or their logs in {arguments.runs}, then start again")


def _adapted(cell: Cell, arguments: argparse.Namespace) -> Cell:
    recipe = cell.recipe if arguments.epochs is None else with_epochs(cell.recipe, arguments.epochs)
    size = recipe.input_size if arguments.input_size is None else arguments.input_size
    return replace(cell, recipe=replace(recipe, input_size=size))


def _plan(planned: list[Cell], arguments: argparse.Namespace) -> Iterator[tuple[Cell, Work]]:
    """Prints a line for each cell, and how long all take; yields those that are not done, with what is left."""
    precision, total = native_precision(arguments.device), 0.0
    width = max(len(cell.recipe.name) for cell in planned)
    for cell in planned:
        facts = f"{cell.recipe.name:{width}}  {cell.recipe.epochs:3} epochs, {cell.recipe.input_size:3} px"
        facts = f"{facts}  paper {figure_text(cell.figure)}"
        if cell.folder is None:
            print(f"{facts}  left out: {cell.missing}", flush=True)
            continue
        run = settings(cell.recipe, cell.folder)
        done = counted(run, arguments.records, arguments.checkpoints)
        missing = [seed for seed in arguments.seeds if seed not in done]
        if not missing:
            print(f"{facts}  done", flush=True)
            continue
        there = trained(run, arguments.runs)
        seeds = [seed for seed in missing if seed not in there]
        left = work(cell.recipe, cell.folder, seeds, arguments.device, precision)
        total += left.seconds
        which = f" for {seeds_text(missing)}" if done else ""
        print(f"{facts}  {duration(left.seconds)}{which}", flush=True)
        yield cell, left
    print(f"All that is left: {duration(total)} on {arguments.device}, one after the other.", flush=True)


def _train(unfinished: dict[Cell, Work], arguments: argparse.Namespace, held: int | None) -> Iterator[Cell]:
    """Trains, records and rewrites the page after each cell; yields the cells that failed."""
    device = arguments.device
    shared = device.type == "cuda" and arguments.at_once != 1
    memory = int(_SHARE * torch.cuda.mem_get_info(device)[0]) if shared else 0
    at_once = (arguments.at_once or cpu_cores()) if shared else 1
    by_name = {cell.recipe.name: cell for cell in unfinished}
    jobs = []
    for name, cell in by_name.items():
        if not unfinished[cell].seeds:  # trained before, not recorded
            if not _recorded(name, arguments):
                yield cell
            continue
        log = arguments.runs / f"{name}.log" if shared else None
        jobs.append(Job(name, _command(cell, unfinished[cell].seeds, arguments), unfinished[cell].memory, log))
    done = run_jobs(jobs, memory=memory, at_once=at_once, held=held, started=_started)
    for job, status in done:
        if status:
            print(f"{job.name} ended with status {status}", file=sys.stderr, flush=True)
        if status or not _recorded(job.name, arguments):
            yield by_name[job.name]


def _command(cell: Cell, seeds: Sequence[int], arguments: argparse.Namespace) -> tuple[str, ...]:
    """`train` for one cell, continued if it was begun; seeds are added to a pair that is there."""
    recipe = cell.recipe
    words: list[object] = [sys.executable, "-m", "jpegdl", "train", recipe.name, "--resume"]
    words += ["--data", cell.folder, "--out", arguments.runs / recipe.name, "--seeds", *seeds]
    words += ["--epochs", recipe.epochs, "--input-size", recipe.input_size, "--device", arguments.device]
    words += ["--threads", arguments.threads] if arguments.threads else []
    return tuple(str(word) for word in words)


def _started(job: Job) -> None:
    print(f"{job.name} begins" + (f"; its lines go to {job.log}" if job.log else ""), flush=True)


def _recorded(name: str, arguments: argparse.Namespace) -> bool:
    """Keep the card of a cell and write the page; what goes wrong is said, and does not end what still trains."""
    missing = "trained, but not recorded"
    try:
        print(record_pair(arguments.runs / name, arguments.records), flush=True)
        missing = "recorded, but not on the page, which `python -m jpegdl results` writes"
        print(write_results(arguments.checkpoints, arguments.records, arguments.results), flush=True)
    except (OSError, ValueError) as error:
        print(f"{name} is {missing}: {error}", file=sys.stderr, flush=True)
        return False
    return True
