"""What the Compare screen asks the server: a result for the state that the browser holds and the server does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from jpegdl.analysis.answers import Answers
from jpegdl.analysis.compression import QUANTIZERS, QuantizerName
from jpegdl.analysis.request import Answer, Request, make_request
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.squares import Prepared
from jpegdl.server.decoding import Decoded
from jpegdl.server.uploads import MISSING, UNREADABLE, Refused, Upload, read_upload
from jpegdl.ui.api import SEEDS, Draw, is_uploaded
from jpegdl.ui.payload import encode_pictures, result_payload
from jpegdl.ui.trays import offered

Kind = Literal["example", "picked", "draw", "upload"]

NOT_HERE = "This address names something that this page does not have; choose again."
LENT = "On this Space the GPU is lent for single pictures; open the examples one by one on the Compare screen."
TOO_OLD = "This page is older than its server; load it again."


@dataclass(frozen=True, kw_only=True)
class State:
    """What the browser wants to see, as it came; `find` says what of it there is."""

    number: int
    pair: str
    picture: str  # "example:NAME", "picked:NAME", "draw:SEED" or "upload"
    true: int | None
    stage: str | None  # None: the last
    quantizer: QuantizerName
    file: str | None = None  # of an upload: where the server put it


@dataclass(frozen=True)
class Chosen:
    """A picture that somebody chose: upright, RGB."""

    image: Image.Image | Prepared
    notes: tuple[str, ...] = ()
    format: str = ""  # of an upload
    file_tables: Any = None  # of an upload that is a JPEG


def read_state(raw: Any) -> State:
    """The state from a browser's JSON. Raises Refused for whatever no page of this version sends."""
    try:
        state = State(**{name: raw.get(name) for name in State.__dataclass_fields__})
    except AttributeError:
        raise Refused(TOO_OLD) from None
    texts = (state.pair, state.picture, state.quantizer, state.stage or "", state.file or "")
    numbers = (state.number, 0 if state.true is None else state.true)
    if not all(isinstance(text, str) for text in texts) or any(type(number) is not int for number in numbers):
        raise Refused(TOO_OLD)
    if state.picture.partition(":")[0] not in get_args(Kind):
        raise Refused(NOT_HERE)
    return state


@dataclass(frozen=True)
class Compare:
    """The questions about results. `answers` runs networks, or remembers; `draws`: pairs whose test pictures are here;
    `read` decodes an upload; `is_lent`: the networks run in a visitor's own time, which only his own picture may cost.

    Every method takes the state as JSON, and returns JSON: a result, or {"refused": one sentence, "number"}.
    """

    pairs: Mapping[str, ModelPair]
    answers: Answers
    draws: Mapping[str, Draw]
    read: Callable[[str], Upload | Decoded] = read_upload
    is_lent: bool = False

    def ask(self, state: dict[str, Any]) -> dict[str, Any]:
        """The result for a state; runs the networks unless the same was asked before."""
        return self._result(state, self.answers.get)

    def glance(self, state: dict[str, Any]) -> dict[str, Any] | None:
        """The result for a state if it is there without running a network, else nothing."""
        return self._result(state, self._known)

    def draw(self, pair: str, seed: int | None = None) -> dict[str, Any]:
        """A test picture of a pair: {seed, true}; by chance if no seed is given."""
        if not isinstance(pair, str) or pair not in self.draws or not isinstance(seed, int | None):
            return {"refused": "The test pictures of this pair are not on this machine."}
        number = int(np.random.default_rng().integers(SEEDS)) if seed is None else int(seed) % SEEDS
        _, name = self.draws[pair](number)
        return {"seed": number, "true": self.pairs[pair].card.class_names.index(name)}

    def outcomes(self, pair: str) -> dict[str, Any]:
        """Which of the pair's examples belong to which of its four counts: {"both": [key], ...}."""
        if not isinstance(pair, str) or pair not in self.pairs:
            return {"refused": NOT_HERE}
        if self.is_lent:
            return {"refused": LENT}
        card = self.pairs[pair].card
        found: dict[str, list[str]] = {"both": [], "only_baseline": [], "only_jpegdl": [], "neither": []}
        for key, example in offered(card).items():
            if (true := example.true(card.class_names)) is not None:
                asked = State(number=0, pair=pair, picture=key, true=true, stage=None, quantizer="five levels")
                found[outcome(self.answers.get(request(self.pairs[pair], asked, example.image())))].append(key)
        return found

    def _result(self, raw: dict[str, Any], run: Callable[[Request], Answer | None]) -> Any:
        number = raw.get("number") if isinstance(raw, dict) else None
        try:
            state = read_state(raw)
            pair = find(self.pairs, state)
            chosen = self.picture(state)
            answer = run(request(pair, state, chosen.image))
        except ValueError as error:  # Refused, or what `answer` does not accept
            return {"refused": str(error), "number": number}
        if answer is None:
            return None
        return result_payload(
            pair,
            answer,
            encode_pictures(answer),
            number=state.number,
            picture=state.picture,
            upright=chosen.image.size,
            notes=chosen.notes,
        )

    def _known(self, request: Request) -> Answer | None:
        """An answer about this picture, whichever class is the true one: that runs no network."""
        answer = self.answers.known(request) or self.answers.known(replace(request, true=None))
        return answer and replace(answer, request=replace(answer.request, true=request.true))

    def picture(self, state: State) -> Chosen:
        """The picture of a state. Raises Refused."""
        kind, _, name = state.picture.partition(":")
        if kind == "upload":
            upload = self.read(uploaded(state.file))
            return Chosen(upload.image, upload.notes, upload.format, upload.file_tables)
        if kind == "draw" and name.isdecimal() and state.pair in self.draws:
            return Chosen(self.draws[state.pair](int(name) % SEEDS)[0])
        example = offered(self.pairs[state.pair].card).get(state.picture)
        if example is None:
            raise Refused(NOT_HERE)
        return Chosen(example.image())


def find(pairs: Mapping[str, ModelPair], state: State) -> ModelPair:
    """The pair of a state whose stage, class and quantizer it has. Raises Refused."""
    if state.pair not in pairs:
        raise Refused(NOT_HERE)
    card = pairs[state.pair].card
    is_class = state.true is None or 0 <= state.true < len(card.class_names)
    is_stage = state.stage is None or state.stage in architecture(card.architecture).stages
    if not (is_class and is_stage and state.quantizer in QUANTIZERS):
        raise Refused(NOT_HERE)
    return pairs[state.pair]


def request(pair: ModelPair, state: State, image: Image.Image | Prepared) -> Request:
    true = None if state.true is None else pair.card.class_names[state.true]
    return make_request(pair.card, image, true_class=true, stage=state.stage, quantizer=state.quantizer)


def outcome(answer: Answer) -> str:
    """Which of the four counts a picture of a known class belongs to."""
    right = [arm for arm in ARMS if answer.firsts[arm] == answer.request.true]
    return {0: "neither", 2: "both"}.get(len(right)) or f"only_{right[0]}"


def uploaded(path: str | None) -> str:
    """The path of an upload, unopened. Raises Refused for anything but a file in the upload folder."""
    if not path:
        raise Refused(MISSING)
    if not is_uploaded(path):
        raise Refused(UNREADABLE)
    return path


__all__ = ["Chosen", "Compare", "Draw", "State", "find", "outcome", "read_state", "request", "uploaded"]
