"""The paper's own figures as data, and the list of recipes beside them. Standard library only.

Source of every number: arXiv 2410.07081, version 3 (ICLR 2025). Accuracies are top-1, in percent; what the paper calls
+- is the standard deviation of three runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class PaperFigure:
    """One cell: the network without the layer and with it; `jpegdl` is of the row's method, whatever stands there."""

    table: str
    baseline: float  # percent
    baseline_std: float | None  # None: not reported
    jpegdl: float
    jpegdl_std: float | None
    note: str = ""

    @property
    def gain(self) -> float:
        """Percentage points, to the two decimals that the paper prints."""
        return round(self.jpegdl - self.baseline, 2)


@dataclass(frozen=True)
class Figure:
    """What a figure was made with: names of data sets and of networks, as in recipes."""

    data: tuple[str, ...]
    networks: tuple[str, ...]


class RecipeFields(Protocol):
    """What `listing` reads of a recipe."""

    @property
    def name(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def input_size(self) -> int: ...
    @property
    def epochs(self) -> int: ...


CONTROLS: Mapping[str, str] = {  # the end of a recipe's name -> what its layer does; none of them is in the paper
    "clip_only": "the index limit alone",
    "quantize_only": "quantization without the index limit",
    "frozen": "tables kept as they start",
    "standard_frozen": "the JPEG standard's tables, kept",
    "zero_dc": "DC coefficients held at 0",
    "noop": "a layer that changes nothing",
}
FIRST_TABLES: Mapping[str, str] = {  # the whole method from other first tables than its recipe's; not in the paper
    "ones": "JPEG-DL from tables of ones",
    "mean_absolute": "JPEG-DL from mean absolute coefficients, 11 bits",
    "standard90": "JPEG-DL from the standard's tables at quality 90",
}
METHODS: Mapping[str, str] = {  # in the paper's tables 6 and 7
    "additive_noise": "uniform noise instead of rounding",
    "cubic": "rounding with a cubic slope",
    "straight_through": "hard rounding with a straight-through gradient",
    "first_relu": "the layer in place of the first ReLU",
}
ATTACKS = Figure(("cifar100",), ("vgg13", "resnet56"))  # figure 3
MAPS = Figure(("cub200",), ("resnet18",))  # figure 6
DATA = ("cifar100", "cub200", "stanford_dogs", "flowers102-authors", "flowers102-trainval", "pets", "imagenet")

_CRD = "the paper takes its baseline from CRD, whose README gives {} instead"
_ORDINARY = "the text names PreAct ResNet-18, but the authors' code ran the ordinary ResNet-18"
_TABLE_1 = {
    "cifar100-resnet32": PaperFigure("Table 1", 71.14, None, 71.92, 0.31),
    "cifar100-resnet56": PaperFigure("Table 1", 72.34, None, 73.39, 0.19),
    "cifar100-resnet110": PaperFigure("Table 1", 73.79, None, 74.46, 0.11, _CRD.format(74.31)),
    "cifar100-vgg8": PaperFigure("Table 1", 70.36, None, 71.10, 0.41),
    "cifar100-vgg13": PaperFigure("Table 1", 73.77, None, 75.32, 0.10, _CRD.format(74.64)),
    "cifar100-mobilenetv2_half": PaperFigure("Table 1", 64.60, None, 65.91, 0.11),
    "cifar100-shufflenetv2": PaperFigure("Table 1", 71.82, None, 73.04, 0.16),
}
_TABLE_2 = {
    "cub200-resnet18": PaperFigure("Table 2", 54.00, 1.43, 58.81, 0.12),
    "cub200-densenet121": PaperFigure("Table 2", 57.70, 0.44, 61.32, 0.43),
    "stanford_dogs-resnet18": PaperFigure("Table 2", 63.71, 0.32, 65.57, 0.37),
    "stanford_dogs-densenet121": PaperFigure("Table 2", 66.61, 0.17, 69.67, 0.58),
    "flowers102-authors-resnet18": PaperFigure("Table 2", 57.13, 1.28, 68.76, 0.57),
    "flowers102-authors-densenet121": PaperFigure("Table 2", 51.32, 0.57, 72.22, 1.05),
    "pets-resnet18": PaperFigure("Table 2", 70.37, 0.84, 74.84, 0.66),
    "pets-densenet121": PaperFigure("Table 2", 70.26, 0.79, 75.90, 0.68),
    "cub200-preact_resnet18": PaperFigure("Table 2", 54.00, 1.43, 58.81, 0.12, _ORDINARY),
    "stanford_dogs-preact_resnet18": PaperFigure("Table 2", 63.71, 0.32, 65.57, 0.37, _ORDINARY),
    "flowers102-authors-preact_resnet18": PaperFigure("Table 2", 57.13, 1.28, 68.76, 0.57, _ORDINARY),
    "pets-preact_resnet18": PaperFigure("Table 2", 70.37, 0.84, 74.84, 0.66, _ORDINARY),
}
_TABLE_3 = {
    "imagenet-resnet18": PaperFigure("Table 3", 69.75, None, 70.13, None),
    "imagenet-resnet34": PaperFigure("Table 3", 73.31, None, 73.54, None),
    "imagenet-squeezenet1_1": PaperFigure(
        "Table 3", 57.95, None, 58.26, None, "torchvision publishes 58.18 for its baseline"
    ),
    "imagenet-squeezenet1_1-rounds5": PaperFigure(
        "Table 3, text", 57.95, None, 58.46, None, "the text gives the gain, 0.51; the accuracy is by addition"
    ),
}
_TABLE_5 = {
    "cifar100-efficientformer_l1": PaperFigure("Table 5", 80.27, 0.33, 80.49, 0.23),
    "flowers102-trainval-efficientformer_l1": PaperFigure("Table 5", 69.78, 0.33, 73.05, 0.12),
    "pets-efficientformer_l1": PaperFigure("Table 5", 65.52, 1.23, 69.28, 0.42),
}


def _against(row: str, table: str, accuracy: float, std: float, note: str = "") -> PaperFigure:
    """Another method on the data and network of a row of table 2, against that row's baseline."""
    return PaperFigure(table, _TABLE_2[row].baseline, _TABLE_2[row].baseline_std, accuracy, std, note)


_METHOD_CELLS: Mapping[tuple[str, str], Mapping[str, tuple[float, float]]] = {  # tables 6 and 7
    ("Table 6", "cub200-resnet18"): {
        "additive_noise": (50.78, 2.21),
        "cubic": (55.34, 0.14),
        "straight_through": (51.58, 0.18),
    },
    ("Table 6", "stanford_dogs-resnet18"): {
        "additive_noise": (53.47, 7.37),
        "cubic": (63.03, 0.56),
        "straight_through": (60.45, 0.23),
    },
    ("Table 6", "flowers102-authors-resnet18"): {
        "additive_noise": (55.46, 0.59),
        "cubic": (55.78, 1.44),
        "straight_through": (58.04, 0.58),
    },
    ("Table 6", "pets-resnet18"): {
        "additive_noise": (56.14, 17.16),
        "cubic": (71.45, 1.01),
        "straight_through": (68.81, 0.55),
    },
    ("Table 6", "cub200-densenet121"): {
        "additive_noise": (52.00, 1.41),
        "cubic": (57.19, 0.78),
        "straight_through": (56.46, 0.30),
    },
    ("Table 6", "stanford_dogs-densenet121"): {
        "additive_noise": (60.07, 6.41),
        "cubic": (66.90, 0.13),
        "straight_through": (64.89, 0.12),
    },
    ("Table 6", "flowers102-authors-densenet121"): {
        "additive_noise": (46.60, 2.87),
        "cubic": (51.04, 0.87),
        "straight_through": (55.98, 0.24),
    },
    ("Table 6", "pets-densenet121"): {
        "additive_noise": (61.91, 1.88),
        "cubic": (69.95, 1.21),
        "straight_through": (69.58, 0.59),
    },
    ("Table 7", "cub200-resnet18"): {"first_relu": (59.27, 0.04)},
    ("Table 7", "stanford_dogs-resnet18"): {"first_relu": (65.33, 0.07)},
    ("Table 7", "flowers102-authors-resnet18"): {"first_relu": (72.10, 1.46)},
    ("Table 7", "pets-resnet18"): {"first_relu": (76.11, 0.37)},
}
_NOTES = {"flowers102-authors-densenet121-straight_through": "the table prints a gain of 4.60"}

PAPER: Mapping[str, PaperFigure] = {
    **_TABLE_1,
    **_TABLE_2,
    **_TABLE_3,
    **_TABLE_5,
    **{
        f"{row}-{method}": _against(row, table, *cell, _NOTES.get(f"{row}-{method}", ""))
        for (table, row), cells in _METHOD_CELLS.items()
        for method, cell in cells.items()
    },
}  # recipe -> cell


def network_of(architecture: str) -> str:
    """The network's name inside recipe names: without library and without timm's mark of ported weights."""
    return architecture.split(":")[-1].removeprefix("tf_")


def difference_of(name: str, dataset: str, architecture: str) -> str:
    """In what a recipe differs from the base recipe of its data and network, from its name; empty for the base."""
    base = f"{dataset}-{network_of(architecture)}"
    return "" if name == base else name.removeprefix(f"{base}-")


def listing(recipes: Iterable[RecipeFields]) -> str:
    """A line for each recipe: name, network, pixels, epochs, the paper's accuracies and gain, its table.

    The table column says "control" for a recipe that takes the layer apart, and "ours" for any other without a cell.
    Notes on the paper's figures stand below, by number.
    """
    rows = [("recipe", "network", "px", "epochs", "paper: baseline -> JPEG-DL (gain)", "table")]
    notes: list[str] = []
    for recipe in recipes:
        figure = PAPER.get(recipe.name)
        if figure is None:
            cell, table = "-", "control" if _difference(recipe) in CONTROLS else "ours"
        else:
            cell, table = figure_text(figure), figure.table
            if figure.note:
                notes += [] if figure.note in notes else [figure.note]
                table += f" [{notes.index(figure.note) + 1}]"
        rows.append((recipe.name, recipe.architecture, str(recipe.input_size), str(recipe.epochs), cell, table))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = (2, 3)  # columns to align to the right
    lines = [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *(f"[{number}] {note}" for number, note in enumerate(notes, 1))])


def figure_text(figure: PaperFigure) -> str:
    """Both accuracies with their deviations where reported, and the gain."""
    baseline = accuracy_text(figure.baseline, figure.baseline_std)
    return f"{baseline} -> {accuracy_text(figure.jpegdl, figure.jpegdl_std)} ({figure.gain:+.2f})"


def accuracy_text(accuracy: float, std: float | None) -> str:
    return f"{accuracy:.2f}" if std is None else f"{accuracy:.2f} ± {std:.2f}"


def _difference(recipe: RecipeFields) -> str:
    return difference_of(recipe.name, recipe.dataset, recipe.architecture)
