"""The forms in which results are handed to whoever draws them: plain frozen data, without marks, ready for JSON.

Shares are percent, differences are JPEG-DL minus baseline in percentage points.
"""

from dataclasses import dataclass

from jpegdl.pairs.classifier import Arm


@dataclass(frozen=True, kw_only=True)
class Share:
    """An accuracy with Wilson's 95 % interval."""

    percent: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Both networks on one set of pictures."""

    n: int
    both: int
    only_baseline: int
    only_jpegdl: int
    neither: int
    baseline: Share
    jpegdl: Share
    points: float
    p_value: float  # McNemar's exact test, two-sided
    chance: str  # the same in words: "in 3 of 10,000 cases"


@dataclass(frozen=True, kw_only=True)
class Control:
    """The same training with another layer, against the same baseline."""

    name: str
    layer: str  # in words
    seed: int
    counted: Counted
    against_method: float  # points by which its network is ahead of the whole method's
    against_method_p: float  # Fisher's exact test, two-sided
    sentence: str  # "The index limit alone: +4.1 of +6.5 points."


@dataclass(frozen=True, kw_only=True)
class PaperCell:
    """The paper's own figure for the recipe. Not to be set against ours unless `comparable`."""

    table: str
    baseline: float
    baseline_std: float | None
    jpegdl: float
    jpegdl_std: float | None
    gain: float
    note: str
    comparable: bool  # the run departed from the recipe in nothing


@dataclass(frozen=True, kw_only=True)
class Input:
    """One form of the test pictures, to both networks; p is against the baseline network on raw pictures."""

    form: str  # key: raw, soft, exact, hard, file
    meaning: str
    shares: dict[Arm, Share]
    p_values: dict[Arm, float | None]  # None for the reference itself


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """One attack at one budget; each row has its own number of pictures."""

    attack: str
    epsilon: float  # 255ths
    steps: int
    restarts: int
    clean: Counted
    attacked: Counted
    zero_gradients: dict[Arm, float]  # share of pictures without any gradient, percent
    flat_coefficients: float  # percent of the coefficients at which the layer passes no gradient
    median_hardness: float


@dataclass(frozen=True, kw_only=True)
class Attacks:
    """All attacks on a pair. `rows` is empty while `missing` is not: no number stands without its checks."""

    rows: tuple[Attacked, ...]
    missing: tuple[str, ...]  # required attacks that were not run
    signs: tuple[str, ...]  # sentences on what points at hidden gradients
    direction: int  # 1: JPEG-DL is more robust, -1: less, 0: neither shown
    sentence: str


@dataclass(frozen=True, kw_only=True)
class MapNumber:
    """A mean over pictures with its 95 % bootstrap interval; None where too few pictures have a number.

    Shares and the pointing game are percent; contrast is -1..1, areas under curves 0..1.
    """

    measure: str  # key: share, pointing, contrast, deletion, insertion
    meaning: str  # in words
    stage: str
    of: str  # in words: whose map, of which class; or of a blind map
    size: str  # of the box, in words; empty for all
    n: int
    baseline: float | None  # None, as JPEG-DL's, where the map belongs to no network
    jpegdl: float | None
    value: float | None  # JPEG-DL minus baseline, or the blind map's own number
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Maps:
    """Do the maps lie on the object, and do the networks need what they mark (paper figure 6)?"""

    pictures: int
    outside: int  # more pictures, whose object lies outside of what the networks see
    chance: float  # percent of an even map that lies in the box
    numbers: tuple[MapNumber, ...]
    direction: int  # 1: JPEG-DL's maps lie more on the object, -1: less, 0: neither shown
    sentence: str


@dataclass(frozen=True, kw_only=True)
class RunEvidence:
    """One run: a pair whose weights are stored (`shipped`) or a run whose counts alone are kept."""

    name: str
    title: str
    shipped: bool
    data: str
    network: str
    layer: str  # in words; "JPEG-DL" for the method itself
    pixels: int
    epochs: int | None
    seed: int
    sets: dict[str, Counted]  # "test" and, where there is one, "validation"
    seeds: dict[int, Counted]  # seed -> test set
    verdict: str  # a sentence on the test set
    limit: str  # what the index limit leaves of a block's mean; empty if it limits nothing
    flaws: tuple[str, ...]  # what was found wrong with its training later, a sentence each
    not_full: tuple[str, ...]  # what keeps it from a full test of a cell of the paper's tables; empty for one
    controls: tuple[Control, ...]
    paper: PaperCell | None
    inputs: tuple[Input, ...]  # empty if not measured
    files: str  # a sentence on the .jpg files; empty if not measured
    attacks: Attacks | None


@dataclass(frozen=True, kw_only=True)
class ClaimItem:
    run: str
    direction: int  # 1: as claimed, -1: the opposite, 0: no clear difference
    text: str
    limits: tuple[str, ...]  # why this is no full test; empty if it is one
    seeds: int  # so many trainings are behind it


@dataclass(frozen=True, kw_only=True)
class ClaimEvidence:
    """One claim of the paper and what all runs say about it."""

    text: str
    where: str
    verdict: str
    items: tuple[ClaimItem, ...]
