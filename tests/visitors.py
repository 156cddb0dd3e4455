"""The queue's protocol as a browser speaks it, for tests: join, then read the session's stream."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Visitor:
    """One session. `client` may be shared: sessions are told apart by their name alone."""

    client: httpx.Client
    patience: float = 60  # seconds; the server says something every few seconds, so a stream never ends by itself
    session: str = field(default_factory=lambda: secrets.token_hex(6), kw_only=True)

    def join(self, fn_index: object, data: object) -> httpx.Response:
        body = {"fn_index": fn_index, "data": data, "session_hash": self.session}
        return self.client.post("/gradio_api/queue/join", json=body)

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server says to this session, until it closes the stream."""
        end = time.monotonic() + self.patience
        with self.stream() as messages:
            for message in messages:
                if time.monotonic() > end:
                    raise TimeoutError(f"no answer within {self.patience} seconds")
                yield message

    @contextmanager
    def stream(self) -> Iterator[Iterator[dict[str, Any]]]:
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as answer:
            answer.raise_for_status()
            yield (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line)

    def ask(self, fn_index: int, data: list[Any]) -> dict[str, Any]:
        """The message that ends one call: success, and output or the error."""
        self.join(fn_index, data).raise_for_status()
        return next(message for message in self.messages() if message["msg"] == "process_completed")


def fn_index(client: httpx.Client, api_name: str) -> int:
    found = [item["id"] for item in client.get("/config").json()["dependencies"] if item["api_name"] == api_name]
    return int(found[0])
