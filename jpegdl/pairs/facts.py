"""What a card says of data and training, as frozen data: code that has a card never meets a hole in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from jpegdl.codec.layer import MAX_STEP, MIN_STEP
from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.reading import Range

Part = Literal["test", "validation"]  # of the data set, on which right answers are counted
PARTS: tuple[Part, Part] = ("test", "validation")
Precision = Literal["bfloat16", "float32"]
RESIZED_COPY = "512 px re-encoded copy"  # end of a data set's title whose pictures are not the originals
Share = Annotated[float, Range(0, 1)]
Step = Annotated[float, Range(MIN_STEP * (1 - 1e-6), MAX_STEP)]  # float32's 1e-5 is a little less
Tables = tuple[tuple[tuple[tuple[Step, ...], ...], ...], ...]  # (rounds, 2, 8, 8); (1, channels, 8, 8) inside a network


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """How many pictures each part of a data set holds."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """The data of a pair: what they are and how they were split."""

    name: str  # as the recipe calls them
    title: str
    source: str
    licence: str
    split: str
    pictures: Pictures

    @property
    def copied(self) -> bool:
        """Are its pictures a smaller copy, compressed anew, of the original ones?"""
        return self.title.endswith(RESIZED_COPY)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch left behind. Loss in nats, accuracies as shares 0..1, seconds of wall time."""

    number: int
    loss: float
    train_accuracy: Share
    validation_accuracy: Share
    seconds: float
    precision: Precision  # of the network in this epoch; the layer computes in float32
    steps: Tables | None  # the layer's tables after the epoch; None without a layer at the input, or not kept


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """Where one arm was trained, and by which code; of an arm that moved, where its last epoch was."""

    device: str
    processes: int
    threads: int
    seconds: int
    versions: Mapping[str, str]  # package -> version
    commit: str  # of this code, with -dirty if it was changed, or the installed version


@dataclass(frozen=True, kw_only=True)
class OtherSeed:
    """A run of the same recipe whose weights are not stored."""

    seed: int
    results: Mapping[Part, Comparison]
    steps: Tables | None  # its last tables
    seconds: Mapping[Arm, int]
    precisions: tuple[Precision, ...]  # in which epochs of its arms ran, each once


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of weights beside the card."""

    file: str  # its name in the card's folder
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not self.file.endswith(".safetensors") or "/" in self.file or "\\" in self.file or "\0" in self.file:
            raise ValueError(f"file must be the name of a .safetensors file in the card's folder, got {self.file!r}")
        if len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef"):
            raise ValueError(f"sha256 must be 64 hexadecimal digits, got {self.sha256!r}")


def check_tables(tables: Tables, shape: tuple[int | None, ...], what: str) -> None:
    """Raises ValueError for nested lists of another shape; None: any length."""
    rows: list[Any] = [tables]
    for expected in shape:
        lengths = {len(row) for row in rows}
        if len(lengths) != 1 or 0 in lengths or expected not in (None, *lengths):
            asked = ", ".join("any" if length is None else str(length) for length in shape)
            raise ValueError(f"{what} must have the shape ({asked})")
        rows = [item for row in rows for item in row]


def tables_of(nested: Any) -> Any:
    """Nested lists, as of `Tensor.tolist()`, as nested tuples."""
    return tuple(tables_of(item) for item in nested) if isinstance(nested, list) else nested
