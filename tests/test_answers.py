"""Each question computed once: by the bytes of the picture, within limits, for many who ask at the same time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jpegdl.analysis.answers import Answers, digest
from jpegdl.analysis.cache import Cache
from jpegdl.analysis.compression import Compression
from jpegdl.analysis.request import Answer, Request, shown_classes
from jpegdl.pairs.classifier import ARMS

CLASSES = 20


def square(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


class Networks:
    """Stands for the networks: counts its calls, and can be told to wait or to fail."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.go = threading.Event()
        self.go.set()
        self.failures: list[Exception] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        self.go.wait(10)
        if self.failures:
            raise self.failures.pop()
        falling = np.linspace(1, 0, CLASSES, dtype=np.float32)
        probabilities = dict.fromkeys(ARMS, falling / falling.sum())
        classes = shown_classes(probabilities, request.target, request.true)
        reconstruction = np.zeros((16, 16, 3), np.uint8)
        return Answer(
            request=request,
            probabilities=probabilities,
            classes=classes,
            maps={arm: np.ones((len(classes), 2, 2), np.float32) for arm in ARMS},
            compression=Compression(reconstruction, 0.1, 30.0, 0.5, 0.0, 0.0, 0.0),
            seconds=0.1,
        )


@pytest.fixture
def networks() -> Networks:
    return Networks()


def ask(seed: int = 0, **settings: Any) -> Request:
    return replace(Request(pair="one", square=square(seed), stage="last"), **settings)


def test_the_same_bytes_and_settings_are_computed_once(networks):
    answers = Answers(networks)
    first = answers.get(ask())
    assert answers.get(ask()).reconstruction is first.reconstruction
    assert len(networks.asked) == 1


@pytest.mark.parametrize(
    "other", [{"pair": "two"}, {"stage": "early"}, {"quantizer": "all levels"}, {"square": square(1)}]
)
def test_anything_else_is_another_question(networks, other):
    answers = Answers(networks)
    answers.get(ask())
    assert answers.known(ask(**other)) is None
    answers.get(ask(**other))
    assert len(networks.asked) == 2


def test_one_changed_pixel_is_another_picture(networks):
    answers = Answers(networks)
    answers.get(ask())
    changed = square()
    changed[7, 7, 1] ^= 1
    assert answers.known(ask(square=changed)) is None


@pytest.mark.parametrize("again", [{"true": 3}, {"target": 4}, {"target": "own"}, {"target": "true", "true": 2}])
def test_another_class_among_the_shown_ones_needs_no_network(networks, again):
    answers = Answers(networks)
    answers.get(ask())
    found = answers.get(ask(**again))
    assert len(networks.asked) == 1
    assert (found.request.true, found.request.target) == (again.get("true"), again.get("target", "shared"))
    assert found.targets["baseline"] in found.classes


def test_a_class_that_has_no_map_yet_is_computed_once_and_its_question_is_remembered_apart(networks):
    answers = Answers(networks)
    for _ in range(2):
        answers.get(ask())
        assert 15 in answers.get(ask(true=15)).classes
        assert 16 in answers.get(ask(target=16)).classes
    assert len(networks.asked) == 3
    assert answers.get(ask()).request.true is None


def test_known_never_runs_a_network(networks):
    answers = Answers(networks)
    assert answers.known(ask()) is None
    assert networks.asked == []
    answers.get(ask())
    assert answers.known(ask(true=3)) is not None
    assert answers.known(ask(true=15)) is None
    assert len(networks.asked) == 1


def test_forty_who_ask_at_once_get_one_computation(networks):
    answers = Answers(networks)
    networks.go.clear()
    with ThreadPoolExecutor(40) as threads:
        waiting = [threads.submit(answers.get, ask()) for _ in range(40)]
        networks.go.set()
        found = [future.result(10) for future in waiting]
    assert len(networks.asked) == 1
    assert len({id(answer.reconstruction) for answer in found}) == 1


def test_one_visitors_failure_is_not_anothers(networks):
    answers = Answers(networks)
    networks.go.clear()
    networks.failures.append(RuntimeError("quota"))
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(answers.get, ask()) for _ in range(4)]
        networks.go.set()
        errors = [future.exception(10) for future in waiting]
    assert [str(error) for error in errors if error] == ["quota"]
    assert len(networks.asked) == 2


def test_while_one_question_is_computed_others_are_answered(networks):
    answers = Answers(networks)
    answers.get(ask(1))
    networks.go.clear()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(answers.get, ask(2))
        assert answers.known(ask(1)) is not None
        assert answers.get(ask(1)) is not None
        assert not slow.done()
        networks.go.set()
        slow.result(10)


# The cache alone


def test_the_bytes_stay_under_the_limit_and_the_last_used_stay():
    cache: Cache[bytes] = Cache(limit=100, seconds=10, size=len)
    for key in "abc":
        cache.get(key, lambda: bytes(30))
    cache.peek("a")
    cache.get("d", lambda: bytes(30))
    assert [key for key in "abcd" if cache.peek(key) is not None] == ["a", "c", "d"]


def test_what_is_larger_than_the_limit_is_given_and_not_kept():
    cache: Cache[bytes] = Cache(limit=100, seconds=10, size=len)
    cache.get("a", lambda: bytes(50))
    assert len(cache.get("b", lambda: bytes(101))) == 101
    assert cache.peek("b") is None
    assert cache.peek("a") is not None


def test_nothing_is_kept_longer_than_promised():
    now = [0.0]
    cache: Cache[bytes] = Cache(limit=100, seconds=10, size=len, clock=lambda: now[0])
    cache.get("a", lambda: b"a")
    now[0] = 9.0
    assert cache.peek("a") == b"a"  # used again, which does not make it younger
    now[0] = 10.5
    cache.drop_old()
    assert cache._kept == {}
    assert cache._bytes == 0


def test_what_is_too_old_goes_even_if_nobody_asks_again():
    cache: Cache[bytes] = Cache(limit=100, seconds=0.2, size=len)
    cache.get("a", lambda: b"a")
    time.sleep(0.1)
    cache.get("b", lambda: b"b")
    assert set(cache._kept) == {"a", "b"}
    end = time.monotonic() + 10
    while cache._kept and time.monotonic() < end:
        time.sleep(0.02)
    assert cache._kept == {}


def test_a_digest_tells_parts_from_their_concatenation():
    assert digest(b"ab", b"c") != digest(b"a", b"bc")
    assert digest(b"a") == digest(b"a")
