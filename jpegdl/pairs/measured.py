"""What is measured on a pair after training and kept in its card, as frozen data."""

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import Share
from jpegdl.pairs.reading import HUGE, Range

Form = Literal["raw", "soft", "exact", "hard", "file"]
FORMS: tuple[Form, ...] = get_args(Form)
Method = Literal["fgsm", "pgd-last", "pgd", "square"]
Backward = Literal["layer", "straight-through", "smooth"]
Kind = Literal["float16", "float32"]
_MOST_VALUES = 10**7  # of an array in a card
_LITTLE_ENDIAN: Mapping[Kind, str] = {"float16": "<f2", "float32": "<f4"}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Counts of every form of the pictures and every backbone, and what the files are like.

    `cells[form][arm]`: the backbone of `arm` on that form, paired with the baseline on raw pictures, which is the
    comparison's baseline side; the cell is its JPEG-DL side. So `cells["raw"]["baseline"]` has no discordant pictures
    and `cells["soft"]["jpegdl"]` compares the pair as it was trained.
    """

    cells: Mapping[Form, Mapping[Arm, Comparison]]
    bits_per_pixel: float  # mean over the files, headers and Huffman tables included
    bits_per_pixel_without_headers: float  # the scan's data alone
    raised_steps: int  # steps below 1 that a file holds as 1, all rounds
    steps: int  # table entries, all rounds
    psnr: Annotated[float, Range(-200, 200)] | None  # dB, mean over the files that differ; None if none does
    lossless: int  # files that decode to exactly their picture

    def __post_init__(self) -> None:
        sizes = {cell.n for arms in self.cells.values() for cell in arms.values()}
        if len(sizes) != 1:
            raise ValueError(f"every cell must count the same pictures, got {sorted(sizes)}; evaluate the pair again")


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack at one budget, as data. Raises ValueError for what no method does."""

    name: str  # for people
    method: Method
    epsilon: Share  # share of white, as all pixel units here
    steps: int  # forward passes a picture and restart: 1 for fgsm, queries for square
    step_size: Share  # epsilon for fgsm; 0 for square, which has none
    restarts: int
    backward: Backward  # how the gradient passes the JPEG layer; "layer" for square, which takes none
    transferred: bool  # examples are made on one arm and tested on the other

    def __post_init__(self) -> None:
        single = self.method == "fgsm" and (self.steps != 1 or self.step_size != self.epsilon)
        blind = self.method == "square" and (self.step_size != 0 or self.backward != "layer")
        known = self.method in get_args(Method) and self.backward in get_args(Backward)
        if not known or single or blind:
            raise ValueError(
                f"{self.name}: {self.method} with {self.steps} steps of {self.step_size}, backward {self.backward!r}, "
                f"is no attack; paper_suite and strong_suite make valid ones"
            )
        if self.restarts != 1 and self.method != "pgd":
            raise ValueError(f"{self.name}: only pgd restarts, got {self.restarts} restarts of {self.method}")


@dataclass(frozen=True, kw_only=True)
class GradientChecks:
    """What hides gradients, measured on the pictures before any attack, through the layer as it is. Shares are 0..1."""

    n: int  # pictures
    zero_gradient_pictures: Mapping[Arm, Share]  # share of pictures without any gradient
    zero_gradient_values: Mapping[Arm, Share]  # share of input values, three a pixel, whose gradient is 0
    flat_coefficients: Share  # share of DCT coefficients at which the layer's slope is next to 0
    median_hardness: float  # alpha q^2, luma and chroma tables weighted equally, all rounds
    median_hardness_luma: float
    median_hardness_chroma: float
    hard_entries: Share  # share of table entries that the authors' code calls hard


@dataclass(frozen=True, kw_only=True)
class RobustAccuracy:
    """Right answers of both arms without and under one attack, on the same pictures, with the checks on gradients.

    `attacked`: each arm on the examples made for it or, if transferred, on those made for the other arm. Raises
    ValueError for counts of different sets of pictures.
    """

    attack: Attack
    clean: Comparison
    attacked: Comparison
    checks: GradientChecks
    seed: int = 0  # of what the attack draws

    def __post_init__(self) -> None:
        if not self.clean.n == self.attacked.n == self.checks.n:
            raise ValueError(
                f"counts must be of the same pictures, got {self.clean.n} clean, {self.attacked.n} attacked and "
                f"{self.checks.n} checked; measure them together"
            )


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """An array that is small enough for a card: zlib-compressed little-endian values in base64.

    Raises ValueError for data that are damaged or of another length. Values may be NaN: not every picture has one.
    """

    shape: tuple[int, ...]
    kind: Kind
    data: str

    def __post_init__(self) -> None:
        self.array()

    @classmethod
    def of(cls, values: ArrayLike, kind: Kind = "float16") -> "Numbers":
        """Raises ValueError for finite values that `kind` does not hold."""
        given = np.asarray(values, dtype=np.float64)
        with np.errstate(over="ignore"):
            array = given.astype(_LITTLE_ENDIAN[kind])
        if not np.array_equal(np.isfinite(array), np.isfinite(given)):
            raise ValueError(f"{kind} does not hold {np.abs(given[np.isfinite(given)]).max():g}; use float32")
        data = base64.b64encode(zlib.compress(array.tobytes(), 9)).decode("ascii")
        return cls(shape=array.shape, kind=kind, data=data)

    def array(self) -> NDArray[np.float32]:
        size = math.prod(self.shape)
        kind = np.dtype(_LITTLE_ENDIAN[self.kind])
        if size > _MOST_VALUES:
            raise ValueError(f"an array of a card has at most {_MOST_VALUES} values, got {size}")
        try:
            packed = base64.b64decode(self.data, validate=True)
            values = zlib.decompressobj().decompress(packed, size * kind.itemsize + 1)
        except (ValueError, binascii.Error, zlib.error):
            raise ValueError("data is damaged; measure again") from None
        if len(values) != size * kind.itemsize:
            raise ValueError(f"data does not hold {size} values of {self.kind}; measure again")
        return np.frombuffer(values, kind).reshape(self.shape).astype(np.float32)


Setting = bool | Annotated[int, Range(-HUGE, HUGE)] | Annotated[float, Range(-HUGE, HUGE)] | str | None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Numbers a picture, by name, with the settings that they were measured with."""

    settings: Mapping[str, Setting]
    arrays: Mapping[str, Numbers]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A class and the probability that a network gives it."""

    class_index: int
    probability: Share


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What both arms answered, when they were measured, to the picture that a formula draws (proof.py)."""

    formula: Literal["triangle waves"]
    answers: Mapping[Arm, tuple[Answer, ...]]  # the first five, falling

    def __post_init__(self) -> None:
        if not all(self.answers.values()):
            raise ValueError("answers must hold at least one for each arm; write the proof again")
