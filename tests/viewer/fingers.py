"""Touches as the browser's input gives them: it decides itself what is a scroll."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Locator, Page

HELD = 400  # ms, longer than it takes to peek
Point = tuple[float, float]


def middle(place: Locator) -> Point:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class Fingers:
    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)

    def _send(self, kind: str, points: Sequence[Point]) -> None:
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def put(self, *points: Point) -> None:
        self._send("touchStart", points)

    def move(self, *points: Point) -> None:
        self._send("touchMove", points)

    def lift(self) -> None:
        self._send("touchEnd", [])

    @contextmanager
    def hold(self, page: Page, point: Point) -> Iterator[None]:
        self.put(point)
        page.wait_for_timeout(HELD)
        yield
        self.lift()

    def tap(self, point: Point) -> None:
        """A short one even if this process is not given the time to lift the finger."""
        x, y = point
        self._session.send("Input.synthesizeTapGesture", {"x": x, "y": y, "duration": 30, "gestureSourceType": "touch"})

    def drag(self, start: Point, end: Point, steps: int = 8) -> None:
        self.put(start)
        for step in range(1, steps + 1):
            share = step / steps
            self.move((start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])))
        self.lift()
