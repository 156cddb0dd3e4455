"""One question about one picture, and its answer: what a visitor, a script, the command line and a report ask for.

Both can be pickled, so a process that has the GPU can take the one and send the other back.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from jpegdl.analysis.compression import QUANTIZERS, Compression, QuantizerName, compress
from jpegdl.analysis.explain import Explained
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.prepare import prepare, to_unit
from jpegdl.pairs.squares import Prepared

# What to explain first: the class with the highest mean probability, the true one, each arm's own first, or this one.
Choice = Literal["shared", "true", "own"]
Target = int | Choice
CHOICES: Mapping[str, Choice] = {choice: choice for choice in get_args(Choice)}

K = TypeVar("K")

_LISTED, _LONGEST = 12, 80  # names, and letters of what came, in a message
FIRST = 5  # classes of each arm that are shown, so that each has a map


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """A prepared picture and what to do with it; whether it fits the pair is for `answer` to see.

    Raises ValueError for the true class as target where that is not known.
    """

    pair: str  # its name
    square: NDArray[np.uint8]  # (S, S, 3), RGB: as pairs.prepare makes it
    true: int | None = None  # index of the class that the picture shows, if that is known
    target: Target = "shared"
    stage: str | None = None  # a key of the architecture's stages; None: the last
    quantizer: QuantizerName = "five levels"

    def __post_init__(self) -> None:
        if self.target == "true" and self.true is None:
            raise ValueError("The target is the true class, but which class that is was not said; give it, too.")

    @property
    def seconds(self) -> float:
        """About how long a GPU that has just been lent needs at the most: mostly for its own start, which nobody has
        measured here. A call that takes longer is ended."""
        return 10.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What both arms make of one picture. Plain NumPy arrays, which hold on to no network."""

    request: Request  # with the stage filled in
    probabilities: Mapping[Arm, NDArray[np.float32]]  # (K,), softmax
    classes: tuple[int, ...]  # that have maps, see shown_classes; most probable first
    maps: Mapping[Arm, NDArray[np.float32]]  # (classes, h, w) GradCAM++ at the stage's own resolution, >= 0, raw
    compression: Compression
    seconds: float  # that computing took

    @property
    def square(self) -> NDArray[np.uint8]:
        return self.request.square

    @property
    def reconstruction(self) -> NDArray[np.uint8]:
        """(S, S, 3): what the JPEG-DL backbone was given, cut off at black and white and rounded."""
        return self.compression.reconstruction

    @property
    def stage(self) -> str:
        return str(self.request.stage)

    @property
    def firsts(self) -> dict[Arm, int]:
        """The class that each arm answers."""
        return {arm: int(self.probabilities[arm].argmax()) for arm in ARMS}

    @property
    def targets(self) -> dict[Arm, int]:
        """The class that is explained first for each arm; they differ for "own" only."""
        return choose_targets(self.probabilities, self.request.target, self.request.true)

    def map(self, arm: Arm, number: int) -> NDArray[np.float32]:
        """(h, w): the map of one of `classes`."""
        found: NDArray[np.float32] = self.maps[arm][self.classes.index(number)]
        return found


def answer(pairs: Mapping[str, ModelPair], request: Request) -> Answer:
    """Run both arms of the pair once. Safe from several threads; changes no network.

    Raises ValueError for a pair, size, class, stage or quantizer that there is not.
    """
    started = time.perf_counter()
    pair = find_pair(pairs, request.pair)
    stages = check(pair.card, request)
    request = replace(request, stage=request.stage or list(stages)[-1])
    image = to_unit(torch.from_numpy(request.square).to(pair.device).permute(2, 0, 1))[None]
    work, reconstruction = compress(pair.codec, image, request.quantizer)
    explained = {
        arm: Explained(network.backbone, stages[str(request.stage)], network.normalize(seen))
        for arm, network, seen in (("baseline", pair.baseline, image), ("jpegdl", pair.jpegdl, reconstruction))
    }
    probabilities = {arm: explained[arm].probabilities for arm in ARMS}
    classes = shown_classes(probabilities, request.target, request.true)
    return Answer(
        request=request,
        probabilities=probabilities,
        classes=classes,
        maps={arm: explained[arm].maps(classes) for arm in ARMS},
        compression=work,
        seconds=time.perf_counter() - started,
    )


def find_pair(pairs: Mapping[str, ModelPair], name: object) -> ModelPair:
    """The pair of this name. Raises ValueError that lists the names there are."""
    return pairs[one_of("pair", name, pairs)]


def make_request(
    card: PairCard,
    picture: Image.Image | Prepared,
    *,
    target: object = "shared",
    true_class: object = None,
    stage: object = None,
    quantizer: object = "five levels",
) -> Request:
    """The request for an RGB picture of any size and settings as people write them: classes by name, or a key of
    CHOICES as target; no stage is the last. Raises ValueError for a setting that this pair does not have."""
    names = card.class_names
    key = one_of("target", target, [*CHOICES, *names])
    stages = architecture(card.architecture).stages
    return Request(
        pair=card.name,
        square=prepare(picture, card.input_size, card.short_side).permute(1, 2, 0).contiguous().numpy(),
        true=None if true_class is None else names.index(one_of("class", true_class, names)),
        target=CHOICES[key] if key in CHOICES else names.index(key),
        stage=list(stages)[-1] if stage is None else one_of("stage", stage, stages),
        quantizer=one_of("quantizer", quantizer, QUANTIZERS),
    )


def one_of(what: str, value: object, known: Iterable[K]) -> K:
    """The equal one among `known`. Raises ValueError that names some of them; `value` may come from anybody."""
    names = list(known)
    if value in names:
        return names[names.index(value)]
    listed = ", ".join(repr(name) for name in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    raise ValueError(f"There is no {what} {repr(value)[:_LONGEST]}; there are: {listed}.")


def check(card: PairCard, request: Request) -> Mapping[str, str]:
    """The stages of the pair's architecture. Raises ValueError for what does not fit the pair of this card."""
    size, count = card.input_size, len(card.class_names)
    if card.place != "input":
        raise ValueError(
            f"{card.name} has its layer inside the network; only a layer at the input has a picture to show."
        )
    if request.square.shape != (size, size, 3) or request.square.dtype != np.uint8:
        raise ValueError(
            f"{card.name} takes a picture of shape ({size}, {size}, 3) and type uint8, got {request.square.shape} "
            f"and {request.square.dtype}; call prepare first."
        )
    for name, number in (("true class", request.true), ("target", request.target)):
        if isinstance(number, int) and not 0 <= number < count:
            raise ValueError(f"The {name} must be a class index 0..{count - 1} of {card.name}, got {number}.")
    if not isinstance(request.target, int):
        one_of("target", request.target, CHOICES)
    one_of("quantizer", request.quantizer, QUANTIZERS)
    stages = architecture(card.architecture).stages
    if request.stage is not None:
        one_of("stage", request.stage, stages)
    return stages


def choose_targets(
    probabilities: Mapping[Arm, NDArray[np.float32]], target: Target, true: int | None
) -> dict[Arm, int]:
    """The class to explain for each arm."""
    if target == "own":
        return {arm: int(probabilities[arm].argmax()) for arm in ARMS}
    number = true if target == "true" else target
    return dict.fromkeys(ARMS, number if isinstance(number, int) else _most_probable(probabilities))


def _most_probable(probabilities: Mapping[Arm, NDArray[np.float32]]) -> int:
    """The class with the highest mean probability of the two arms; ties go to the lower index."""
    return int((probabilities["baseline"] + probabilities["jpegdl"]).argmax())


def shown_classes(
    probabilities: Mapping[Arm, NDArray[np.float32]], target: Target, true: int | None
) -> tuple[int, ...]:
    """The first FIRST classes of both arms, what "shared" means, the true class and the target, by the larger of both
    probabilities: so a map is there for every choice but another class."""
    wanted = {number for number in (_most_probable(probabilities), target, true) if isinstance(number, int)}
    for arm in ARMS:
        wanted |= set(np.argsort(-probabilities[arm], kind="stable")[:FIRST].tolist())
    return tuple(sorted(wanted, key=lambda number: (-max(float(probabilities[arm][number]) for arm in ARMS), number)))
