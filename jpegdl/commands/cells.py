"""The cells of a table of the paper as runs: recipe, data, what is done already, and what one takes here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from jpegdl.analysis.results.paper import PAPER, PaperFigure
from jpegdl.commands.results import record_file
from jpegdl.pairs.card import PairCard, card_from_json
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.recipe import Recipe
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import Dataset, evenly
from jpegdl.training.pace import Outlook, measure_pace
from jpegdl.training.readers import read_dataset
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
class Cost:
    """What a run of a cell takes on this device: seconds, and bytes of a GPU's memory."""

    seconds: float
    memory: int


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


def is_recorded(recipe: Recipe, seeds: Sequence[int], records: Path) -> bool:
    """Whether all these seeds of the recipe are on record, counted."""
    try:
        card = card_from_json(record_of(recipe, records).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return is_of(card, recipe, seeds)


def is_of(card: PairCard, recipe: Recipe, seeds: Sequence[int]) -> bool:
    """Whether a card tells of the recipe, for as many epochs on as many pixels, with all of the seeds."""
    run, asked = (card.recipe.epochs, card.input_size), (recipe.epochs, recipe.input_size)
    return run == asked and set(seeds) <= set(card.seeds)


def cost(recipe: Recipe, folder: Path, seeds: Sequence[int], device: torch.device, precision: torch.dtype) -> Cost:
    """What all seeds take, from a few steps on some of the pictures."""
    dataset = read_dataset(recipe.dataset, folder)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    few = max(_SAMPLE, recipe.batch_size)
    data = read_sources(recipe, _sample(dataset, few), device)
    pace = measure_pace(recipe, dataset, data, device, precision)
    left = {(seed, arm): recipe.epochs for seed in seeds for arm in ARMS}
    return Cost(Outlook(pace, left).seconds, _memory(device, len(dataset.train)) if device.type == "cuda" else 0)


def _memory(device: torch.device, pictures: int) -> int:
    """Bytes of the GPU for a run like the one just timed, on so many pictures."""
    used = torch.cuda.max_memory_reserved(device)
    torch.cuda.empty_cache()
    return used + pictures * _STORED + _CONTEXT


def _sample(dataset: Dataset, count: int) -> Dataset:
    train, validation, test = (evenly(part, count) for part in (dataset.train, dataset.validation, dataset.test))
    return replace(dataset, train=train, validation=validation, test=test)
