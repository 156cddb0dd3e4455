"""What stands between the network and Gradio: limits on every request, what is closed, and headers on every answer."""

import contextlib
import errno
import logging
import math
import os
import shutil
import time
from collections.abc import Callable
from typing import NoReturn

import anyio
from gradio.route_utils import FnIndexInferError
from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jpegdl.server.environment import prepare_environment
from jpegdl.server.uploads import MAX_BYTES

MIB = 2**20
UPLOAD_BYTES = MAX_BYTES + 2 * MIB  # one request to /upload: a picture and the form around it
OTHER_BYTES = MIB  # any other request; pictures come by /upload, so these are short texts
FREE_BYTES = 1024 * MIB  # disk space that uploads leave alone
START_SECONDS, LEAST_RATE = 20, 4096  # a body may take 20 s and a second for each 4 kB of it

# Routes of Gradio that this page does not use: ffmpeg on an upload; fetching from other servers; writing a visitor's
# state to disk; the code editor and its endless stream of reload messages.
CLOSED = ("process_recording", "proxy=", "deep_link", "vibe-", "dev/")
CLOSED_URLS = ("file=http:", "file=https:")
# What requests lead to that no page sends; functions of the app run elsewhere, so these errors are not theirs.
FORGED = (LookupError, ValueError, TypeError, AttributeError, FnIndexInferError)
DIRECT = ("run/", "api/")  # calls past the queue; Gradio answers 500 to whatever is wrong with their values
READS_MESSAGES = ("queue/data", "call/")

TOO_LARGE = "This request is too large; the limit for a picture is 10 MB."
TOO_SLOW = "This request came too slowly; try again on a better connection."
CUT_OFF = "The request broke off."
CLOSED_HERE = "This app does not offer that."
ONE_RANGE = "Ask for one range of the file at a time."
NO_MESSAGES = "There is nothing to read for this session; load the page again."
NOT_UNDERSTOOD = "This request cannot be understood; load the page again."
DISK_FULL = "The server has no space for uploads now; try again in an hour, or use an example."
OUR_FAULT = "Something went wrong on the server; try again."

_log = logging.getLogger(__name__)


class Door:
    """ASGI middleware. `has_messages` tells whether there is something to read under a session's or an event's name;
    `headers` go on every answer that does not say otherwise."""

    def __init__(self, app: ASGIApp, has_messages: Callable[[str], bool], headers: dict[str, str]) -> None:
        self._app = app
        self._has_messages = has_messages
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = scope["path"].partition("/gradio_api/")[2]
        answer = _Answer(scope, receive, send, self._headers)
        body = _Body(scope, receive, limit=UPLOAD_BYTES if _is_upload(route) else OTHER_BYTES)
        if refusal := self._refusal(scope, route, body.limit):
            await answer.refuse(*refusal)
        else:
            await self._pass_on(scope, body, answer)

    def _refusal(self, scope: Scope, route: str, limit: int) -> tuple[int, str] | None:
        """Status and sentence for what is refused before its body is read."""
        headers = Headers(scope=scope)
        if route.startswith(CLOSED) or route.lower().startswith(CLOSED_URLS):
            return 404, CLOSED_HERE
        if limit < _announced_bytes(headers):
            return 413, TOO_LARGE
        if "," in headers.get("range", ""):
            return 416, ONE_RANGE
        if scope["method"] == "GET" and route.startswith(READS_MESSAGES) and not self._has_messages(_reader(scope)):
            return 404, NO_MESSAGES
        if _is_upload(route) and _free_bytes() < FREE_BYTES:
            return 503, DISK_FULL
        return None

    async def _pass_on(self, scope: Scope, body: "_Body", answer: "_Answer") -> None:
        route = scope["path"].partition("/gradio_api/")[2]

        async def send(message: Message) -> None:
            if message.get("status") == 413:  # a file between the two limits, in Gradio's words
                await answer.refuse(413, TOO_LARGE)
            if answer.refused:
                return
            if route.startswith(DIRECT) and message.get("status") == 500:
                message["status"] = 400
            if answer.started or not body.broken:  # else the app only reports that its body broke off
                await answer.send(message)

        error: BaseException | None = None
        try:
            await self._app(scope, body.receive, send)
        except Exception as raised:
            if answer.started:
                raise
            error = raised
        if answer.started or (error is None and not body.broken):
            return
        if body.broken:
            await answer.refuse(*body.broken)
        elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            await answer.refuse(503, DISK_FULL)
        elif (route and isinstance(error, FORGED)) or getattr(error, "errno", None) == errno.ENAMETOOLONG:
            await answer.refuse(400, NOT_UNDERSTOOD)
        else:
            _log.error("%s %r", scope["method"], scope["path"], exc_info=error)
            await answer.refuse(500, OUR_FAULT)


class _BrokenBody(MultiPartException):
    """The one exception on which Gradio answers that a form is broken."""


class _Body:
    """The body of a request, counted and timed as it comes, because a chunked one does not announce its length."""

    def __init__(self, scope: Scope, receive: Receive, *, limit: int) -> None:
        self.limit = limit
        self.broken: tuple[int, str] | None = None
        self._receive = receive
        self._bytes = 0
        self._complete = scope["method"] in ("GET", "HEAD")  # a stream of messages is not timed
        self._began = time.monotonic()

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        if self.broken:
            raise _BrokenBody(self.broken[1])
        left = START_SECONDS + self._bytes / LEAST_RATE - (time.monotonic() - self._began)
        try:
            with anyio.fail_after(max(0.0, left)):  # in this task: asyncio.wait_for would lose a message when cancelled
                message = await self._receive()
        except TimeoutError:
            self._break(408, TOO_SLOW)
        if message["type"] == "http.disconnect":
            self._break(400, CUT_OFF)
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._bytes > self.limit:
            self._break(413, TOO_LARGE)
        return message

    def _break(self, status: int, sentence: str) -> NoReturn:
        self._complete = False
        self.broken = status, sentence
        raise _BrokenBody(sentence)


class _Answer:
    def __init__(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        self.started = self.refused = False
        self._asgi = scope, receive
        self._send = send
        self._headers = headers

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, status: int, sentence: str) -> None:
        scope = self._asgi[0]
        self.refused = True
        _log.warning("%s %.80r: %d %s", scope["method"], scope["path"], status, sentence)
        headers = {"Connection": "close"} if status in (408, 413) else None  # the rest of the body is not read
        with contextlib.suppress(OSError):  # nobody listens any more
            await JSONResponse({"detail": sentence}, status, headers)(*self._asgi, self.send)


def _is_upload(route: str) -> bool:
    return route.strip("/") == "upload"


def _reader(scope: Scope) -> str:
    """The session or the event whose messages a request wants."""
    if not scope["path"].rstrip("/").endswith("queue/data"):
        return str(scope["path"].rstrip("/").rpartition("/")[2])
    query = dict(part.partition("=")[::2] for part in scope["query_string"].decode("latin-1").split("&"))
    return query.get("session_hash", "")


def _announced_bytes(headers: Headers) -> float:
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() and len(length) < 20 else math.inf


def _free_bytes() -> int:
    """Room for uploads; their folder is made again if somebody's cleaning took it."""
    folder = prepare_environment()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return shutil.disk_usage(folder).free


__all__ = ["Door"]
