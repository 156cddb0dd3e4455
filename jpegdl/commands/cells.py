"""The cells of a table of the paper as runs: recipe, data, what is done already, and what one takes here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from jpegdl.analysis.results.paper import PAPER, PaperFigure
from jpegdl.commands.results import check_same, read_record, record_file
from jpegdl.pairs.checkpoints import CARD
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.recipe import Recipe
from jpegdl.pairs.seeds import differing
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import Dataset, evenly
from jpegdl.training.pace import Outlook, measure_pace
from jpegdl.training.readers import read_dataset
from jpegdl.training.settings import Settings, pair_at, read_settings, settings_of, work_folder
from jpegdl.training.sources import read_sources


def _table(figure: PaperFigure) -> str:
    """Such as "table2"."""
    return figure.table.split(",")[0].lower().replace(" ", "")


TABLES = tuple(sorted({_table(figure) for figure in PAPER.values()}))
_CONTEXT = 2**30  # bytes of a GPU that a process takes besides its tensors
_STORED = 3 * 256**2  # bytes of a training picture in memory
_SAMPLE = 64  # pictures at least that a cell is timed on


@dataclass(frozen=True)
class Cell:
    """A recipe of the table, and where its data was found; `missing` says why not."""

    recipe: Recipe
    figure: PaperFigure
    folder: Path | None
    missing: str = ""


@dataclass(frozen=True)
class Work:
    """What is left of a cell on this device: seeds to train, seconds, and bytes of a GPU's memory."""

    seeds: tuple[int, ...]
    seconds: float = 0.0
    memory: int = 0


def cells(table: str, only: Sequence[str], data: Path) -> list[Cell]:
    """The cells of `table`; with `only`, those whose recipe's name holds one of these texts.

    A data set may lie in `data` itself or in a folder of its own name there.
    """
    names = [name for name, figure in PAPER.items() if _table(figure) == table]
    chosen = [name for name in names if not only or any(text in name for text in only)]
    if not chosen:
        raise ValueError(f"no recipe of {table} holds {' or '.join(only)} in its name; they are {', '.join(names)}")
    return [_cell(RECIPES[name], data) for name in chosen]


def _cell(recipe: Recipe, data: Path) -> Cell:
    named = [data / recipe.dataset, data / recipe.dataset.split("-")[0]]
    missing = ""
    for folder in [*(place for place in named if place.is_dir()), data]:
        try:
            read_dataset(recipe.dataset, folder)
        except ValueError as error:
            missing = missing or str(error)
        else:
            return Cell(recipe, PAPER[recipe.name], folder)
    return Cell(recipe, PAPER[recipe.name], None, missing)


def record_of(recipe: Recipe, records: Path) -> Path:
    """The file in which a run of the recipe is recorded."""
    return record_file(records, recipe.name, recipe.input_size, recipe.epochs)


def settings(recipe: Recipe, folder: Path) -> Settings:
    """What a run of the recipe on the data in `folder` has in common with its other seeds."""
    return settings_of(recipe, read_dataset(recipe.dataset, folder))


def counted(run: Settings, records: Path, checkpoints: Path) -> set[int]:
    """Seeds of the run that are on record, or in the card of the pair of its name.

    Raises ValueError for a record of that name that tells of another run, or is none.
    """
    file, seeds = record_of(run.recipe, records), set[int]()
    if record := read_record(file):
        check_same(file, record, run)
        seeds |= set(record.seeds)
    pair = read_record(checkpoints / run.recipe.name / CARD)
    return seeds | set(pair.seeds) if pair and not differing(pair, run) else seeds


def trained(run: Settings, runs: Path) -> set[int]:
    """Seeds of the run that a pair in `runs` has. Raises ValueError if another one of its name is there, or begun."""
    folder = runs / run.recipe.name
    begun = work_folder(folder)
    if begun.exists():
        check_same(begun, read_settings(begun), run)
    card = pair_at(folder)
    if card is None:
        return set()
    check_same(folder, card, run)
    return set(card.seeds)


def work(recipe: Recipe, folder: Path, seeds: Sequence[int], device: torch.device, precision: torch.dtype) -> Work:
    """What these seeds take, from a few steps on some of the pictures."""
    if not seeds:
        return Work(())
    dataset = read_dataset(recipe.dataset, folder)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    few = max(_SAMPLE, 2 * recipe.batch_size)  # the second batch shows what making one takes
    data = read_sources(recipe, _sample(dataset, few), device)
    pace = measure_pace(recipe, dataset, data, device, precision)
    seconds = Outlook(pace, {(seed, arm): recipe.epochs for seed in seeds for arm in ARMS}).seconds
    return Work(tuple(seeds), seconds, _memory(device, len(dataset.train)) if device.type == "cuda" else 0)


def _memory(device: torch.device, pictures: int) -> int:
    """Bytes of the GPU for a run like the one just timed, on so many pictures."""
    used = torch.cuda.max_memory_reserved(device)
    torch.cuda.empty_cache()
    return used + pictures * _STORED + _CONTEXT


def _sample(dataset: Dataset, count: int) -> Dataset:
    train, validation, test = (evenly(part, count) for part in (dataset.train, dataset.validation, dataset.test))
    return replace(dataset, train=train, validation=validation, test=test)
