"""Messages of the queue to its sessions, until somebody has read them."""

import asyncio
import time
from typing import Any

from gradio.server_messages import EventMessage


class Inbox(asyncio.Queue[EventMessage]):
    """Messages to one session; knows whether anybody has come to read them."""

    def __init__(self) -> None:
        super().__init__()
        self.touched = time.monotonic()
        self.was_read = False
        self.readers = 0

    def is_awaited(self) -> bool:
        """Whether a reader has still to be told something."""
        return self.was_read and self.qsize() > 0

    async def get(self) -> EventMessage:
        self.was_read = True
        self.readers += 1
        try:
            return await super().get()
        finally:
            self.readers -= 1
            self.touched = time.monotonic()


class Inboxes(dict[str, Any]):
    """Inboxes by session. Whatever list Gradio puts in becomes an `Inbox`; taking one out twice is no error."""

    def __setitem__(self, session: str, _list: object) -> None:
        super().__setitem__(session, Inbox())

    def __delitem__(self, session: str) -> None:
        self.pop(session, None)


__all__ = ["Inbox", "Inboxes"]
