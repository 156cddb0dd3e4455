"""One question about one picture, and its answer: what a visitor, a script, the command line and a report ask for.

Both can be pickled, so a process that has the GPU can take the one and send the other back.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from jpegdl.analysis.compression import QUANTIZERS, Compression, QuantizerName, compress
from jpegdl.analysis.maps import Explained
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.prepare import to_unit

# What to explain first: the class with the highest mean probability, the true one, each arm's own first, or this one.
Choice = Literal["shared", "true", "own"]
Target = int | Choice
CHOICES: tuple[Choice, ...] = get_args(Choice)

FIRST = 5  # classes of each arm that are shown, so that each has a map


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """A prepared picture and what to do with it. Nothing is checked before `answer` looks at the pair."""

    pair: str  # its name
    square: NDArray[np.uint8]  # (S, S, 3), RGB: as pairs.prepare makes it
    true: int | None = None  # index of the class that the picture shows, if that is known
    target: Target = "shared"
    stage: str | None = None  # a key of the architecture's stages; None: the last
    quantizer: QuantizerName = "five levels"

    @property
    def seconds(self) -> float:
        """About how long a GPU needs at the most, the first use of it included."""
        return 5.0 if self.stage is None else 8.0  # an earlier stage has more to go back through


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What both arms make of one picture. Plain NumPy arrays, which hold on to no network."""

    request: Request  # with the stage filled in
    probabilities: Mapping[Arm, NDArray[np.float32]]  # (K,), softmax
    classes: tuple[int, ...]  # that have maps: the first of both arms, the true one, the target; most probable first
    maps: Mapping[Arm, NDArray[np.float32]]  # (classes, h, w) GradCAM++ at the stage's own resolution, >= 0, raw
    compression: Compression
    seconds: float  # that computing took

    @property
    def square(self) -> NDArray[np.uint8]:
        return self.request.square

    @property
    def reconstruction(self) -> NDArray[np.float32]:
        """(3, S, S), exactly what the JPEG-DL backbone was given; 1.0 = white, not clamped."""
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


def find_pair(pairs: Mapping[str, ModelPair], name: str) -> ModelPair:
    """The pair of this name. Raises ValueError that lists the names there are."""
    if name not in pairs:
        raise ValueError(f"There is no pair {name!r}; there are {', '.join(map(repr, pairs))}.")
    return pairs[name]


def check(card: PairCard, request: Request) -> Mapping[str, str]:
    """The stages of the pair's architecture. Raises ValueError for what does not fit the pair of this card."""
    size, count = card.input_size, len(card.class_names)
    if request.square.shape != (size, size, 3) or request.square.dtype != np.uint8:
        raise ValueError(
            f"{card.name} takes a picture of shape ({size}, {size}, 3) and type uint8, got {request.square.shape} "
            f"and {request.square.dtype}; call prepare first."
        )
    for name, number in (("true class", request.true), ("target", request.target)):
        if isinstance(number, int) and not 0 <= number < count:
            raise ValueError(f"The {name} must be a class index 0..{count - 1} of {card.name}, got {number}.")
    if not isinstance(request.target, int) and request.target not in CHOICES:
        raise ValueError(
            f"The target must be a class index or one of {', '.join(map(repr, CHOICES))}, got {request.target!r}."
        )
    stages = architecture(card.architecture).stages
    if request.stage is not None and request.stage not in stages:
        raise ValueError(
            f"There is no stage {request.stage!r} in {card.name}; there are {', '.join(map(repr, stages))}."
        )
    if request.quantizer not in QUANTIZERS:
        raise ValueError(f"There is no quantizer {request.quantizer!r}; there are {', '.join(map(repr, QUANTIZERS))}.")
    return stages


def choose_targets(
    probabilities: Mapping[Arm, NDArray[np.float32]], target: Target, true: int | None
) -> dict[Arm, int]:
    """The class to explain for each arm; ties of "shared" go to the lower index, "true" without one is "shared"."""
    if isinstance(target, int):
        return dict.fromkeys(ARMS, target)
    if target == "true" and true is not None:
        return dict.fromkeys(ARMS, true)
    if target == "own":
        return {arm: int(probabilities[arm].argmax()) for arm in ARMS}
    return dict.fromkeys(ARMS, int((probabilities["baseline"] + probabilities["jpegdl"]).argmax()))


def shown_classes(
    probabilities: Mapping[Arm, NDArray[np.float32]], target: Target, true: int | None
) -> tuple[int, ...]:
    """The first FIRST classes of both arms, the true class and the targets, by the larger of both probabilities."""
    wanted = set(choose_targets(probabilities, target, true).values()) | ({true} if true is not None else set())
    for arm in ARMS:
        wanted |= set(np.argsort(-probabilities[arm], kind="stable")[:FIRST].tolist())
    return tuple(sorted(wanted, key=lambda number: (-max(float(probabilities[arm][number]) for arm in ARMS), number)))
