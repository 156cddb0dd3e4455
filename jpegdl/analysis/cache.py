"""Results kept by what they were made from: each made once, however many ask at the same time, and within a limit."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")


class _Kept(NamedTuple, Generic[V]):
    value: V
    size: int
    made: float


class Cache(Generic[V]):
    """The values last asked for, of at most `limit` bytes together, none older than `seconds`, whether or not anybody
    asks again. Safe from any thread.

    A failure is not kept and not shared: whoever waited for the value makes it himself, because the reason may lie with
    the first asker (a quota), not with the value. No lock is held while a value is made, so making it may fork.
    """

    def __init__(
        self, limit: int, seconds: float, size: Callable[[V], int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._seconds, self._size, self._clock = limit, seconds, size, clock
        self._kept: OrderedDict[Hashable, _Kept[V]] = OrderedDict()
        self._being_made: dict[Hashable, threading.Event] = {}
        self._bytes = 0
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of `key`, made by `make` if it is not there. Raises what `make` raises."""
        while True:
            with self._lock:
                kept = self._find(key)
                if kept is not None:
                    return kept.value
                waiting_for = self._being_made.get(key)
                if waiting_for is None:
                    done = self._being_made[key] = threading.Event()
                    break
            waiting_for.wait()
        try:
            value = make()
            with self._lock:
                self._keep(key, value)
            return value
        finally:
            with self._lock:
                del self._being_made[key]
            done.set()

    def peek(self, key: Hashable) -> V | None:
        """The value of `key` if it is there; makes nothing and waits for nobody."""
        with self._lock:
            kept = self._find(key)
            return None if kept is None else kept.value

    def drop_old(self) -> None:
        """Forget what is older than `seconds`; happens at every call of the others and by a timer."""
        with self._lock:
            self._timer = None
            self._drop_old()
            self._wake_later()

    def _find(self, key: Hashable) -> _Kept[V] | None:
        self._drop_old()
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def _keep(self, key: Hashable, value: V) -> None:
        size = self._size(value)
        if size > self._limit:
            return
        self._kept[key] = _Kept(value, size, self._clock())
        self._bytes += size
        while self._bytes > self._limit:
            self._forget(next(iter(self._kept)))
        self._wake_later()

    def _wake_later(self) -> None:
        """When the oldest will be too old, unless a timer runs already."""
        if self._kept and self._timer is None:
            oldest = min(kept.made for kept in self._kept.values())
            self._timer = threading.Timer(max(0.0, oldest + self._seconds - self._clock()) + 0.01, self.drop_old)
            self._timer.daemon = True
            self._timer.start()

    def _drop_old(self) -> None:
        oldest = self._clock() - self._seconds
        for key in [key for key, kept in self._kept.items() if kept.made < oldest]:
            self._forget(key)

    def _forget(self, key: Hashable) -> None:
        self._bytes -= self._kept.pop(key).size
