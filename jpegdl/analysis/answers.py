"""Answers by the bytes of the picture and the settings: the same question is computed once."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from jpegdl.analysis.cache import Cache
from jpegdl.analysis.request import Answer, Request
from jpegdl.pairs.classifier import ARMS

LIMIT = 16 * 2**20  # bytes: about 50 answers at 224 pixels
SECONDS = 3000.0  # visitors' pictures are among them, and the page promises to forget these within an hour


class Answers:
    """Asks `run` for answers, and keeps them.

    An answer has maps of all classes that are shown, so another true class or target among them needs no new one. Keys
    are made of the picture's own bytes: only who has the same picture can meet an answer that somebody else asked for.
    """

    def __init__(self, run: Callable[[Request], Answer], *, limit: int = LIMIT, seconds: float = SECONDS) -> None:
        self._run = run
        self._cache: Cache[Answer] = Cache(limit, seconds, _size)

    def get(self, request: Request) -> Answer:
        """The answer, computed now or before. Raises what `run` raises."""
        for key in _keys(request):
            found = self._cache.get(key, lambda: self._run(request))
            if _covers(found, request):
                break
        return _asked(found, request)

    def known(self, request: Request) -> Answer | None:
        """The answer if it is there: at once, and without running a network."""
        for key in _keys(request):
            found = self._cache.peek(key)
            if found is not None and _covers(found, request):
                return _asked(found, request)
        return None


def digest(*parts: bytes) -> bytes:
    """Of contents, never of names."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.digest()


def _keys(request: Request) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """First that of all questions about this picture, then that of one about a class that the first answer lacks."""
    about = (request.pair, request.stage, request.quantizer, request.square.shape, digest(request.square.tobytes()))
    return about, (*about, request.true, request.target)


def _covers(answer: Answer, request: Request) -> bool:
    wanted = [number for number in (request.true, request.target) if isinstance(number, int)]
    return set(wanted) <= set(answer.classes)


def _asked(answer: Answer, request: Request) -> Answer:
    """The same answer to this question."""
    return replace(answer, request=replace(answer.request, true=request.true, target=request.target))


def _size(answer: Answer) -> int:
    by_arm = sum(answer.probabilities[arm].nbytes + answer.maps[arm].nbytes for arm in ARMS)
    return answer.square.nbytes + answer.reconstruction.nbytes + by_arm
