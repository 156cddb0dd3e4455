"""Serving the page to strangers: limits on what they send, what is closed, and cleaning up. No page content.

Gradio limits the size of an uploaded file and nothing else of a request, fetches any address that a request names, and
keeps the first part of an upload that was cut off. `serve` closes these.
"""

import asyncio
import contextlib
import math
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import torch
from gradio import processing_utils
from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jpegdl.pairs.cores import cpu_cores
from jpegdl.server.environment import prepare_environment
from jpegdl.server.files import PageFiles, ServeFiles
from jpegdl.server.uploads import MAX_BYTES

MIB = 2**20
UPLOAD_BYTES = MAX_BYTES + 2 * MIB  # one request to /upload: a picture and the form around it
OTHER_BYTES = MIB  # any other request; pictures come by /upload, so these are short texts
FREE_BYTES = 1024 * MIB  # disk space that uploads leave alone
FILE_SECONDS = 3600  # an upload or result is deleted after this time; far longer than the longest wait
SWEEP_SECONDS = 600
LONGEST_WAIT = 90  # seconds in the queue; who would wait longer is told so at once

# Routes of Gradio that this page does not use: ffmpeg on an upload; fetching from other servers; writing a visitor's
# state to disk; the code editor and its endless stream of reload messages.
CLOSED = ("process_recording", "proxy=", "deep_link", "vibe-", "dev/")
CLOSED_URLS = ("file=http:", "file=https:")
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}  # framing stays open: Spaces do it

TOO_LARGE = "This request is too large; the limit for a picture is 10 MB."
CLOSED_HERE = "This app does not offer that."
DISK_FULL = "The server has no space for uploads now; try again in an hour, or use an example."


def serve(
    demo: gr.Blocks, *, seconds_per_analysis: float, files: PageFiles | None = None, **page: Any
) -> tuple[Any, str, str]:
    """Queue and launch `demo` with every protection; `files` are the page's own scripts and styles, `page` further
    arguments of launch (css, head, theme ...).

    Host and port come from GRADIO_SERVER_NAME (else this machine only) and GRADIO_SERVER_PORT (else the first free one
    from 7860). Returns what launch returns.
    """
    torch.set_num_threads(cpu_cores())
    cv2.setNumThreads(1)
    refuse_to_fetch()
    demo.delete_cache = (SWEEP_SECONDS, FILE_SECONDS)
    return demo.queue(**queue_settings(seconds_per_analysis)).launch(**launch_settings(files), **page)


def queue_settings(seconds_per_analysis: float) -> dict[str, Any]:
    """Arguments of Blocks.queue for one analysis at a time."""
    return {
        "max_size": max(8, min(256, int(LONGEST_WAIT / seconds_per_analysis))),  # Gradio's own default is no limit
        "api_open": False,  # else a direct call passes the queue by
        "default_concurrency_limit": 1,
    }


def launch_settings(files: PageFiles | None = None) -> dict[str, Any]:
    """Arguments of Blocks.launch for a public app; those that repeat a default would else follow the environment."""
    middleware = [Middleware(BodyLimit), *([Middleware(ServeFiles, files)] if files else [])]
    return {
        "app_kwargs": {"middleware": middleware, "lifespan": sweeping},
        "max_file_size": MAX_BYTES,
        "max_threads": 40,
        "state_session_capacity": 1000,
        "show_error": False,  # gr.Error shows all the same; other exceptions name files of the server
        "enable_monitoring": False,  # None would open /monitoring/summary to everybody
        "run_history": False,  # it would stay in the browser of a shared classroom machine
        "strict_cors": True,
        "ssr_mode": False,
        "mcp_server": False,
        "num_workers": 0,  # separate processes for uploads would have no BodyLimit
        "share": False,
        "pwa": False,
        "debug": False,
    }


def refuse_to_fetch() -> None:
    """Gradio downloads an address that a request names as the path of a file, for any component, without a limit."""

    async def refuse(url: str, cache_dir: str) -> str:
        raise gr.Error("This app fetches nothing from other servers; upload the file.", print_exception=False)

    processing_utils.async_ssrf_protected_download = refuse


# Requests


class BodyLimit:
    """ASGI middleware: closed routes, a limit on the body of every request, and headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route = scope["path"].partition("/gradio_api/")[2]
        is_upload = route.strip("/") == "upload"
        answer = _Answer(scope, receive, send)
        body = _Body(receive, limit=UPLOAD_BYTES if is_upload else OTHER_BYTES, ends_in_error=is_upload)
        if route.startswith(CLOSED) or route.lower().startswith(CLOSED_URLS):
            await answer.refuse(404, CLOSED_HERE)
        elif body.limit < _announced_bytes(scope):
            await answer.refuse(413, TOO_LARGE)
        elif is_upload and shutil.disk_usage(prepare_environment()).free < FREE_BYTES:
            await answer.refuse(503, DISK_FULL)
        else:
            await self._pass_on(scope, body, answer)

    async def _pass_on(self, scope: Scope, body: "_Body", answer: "_Answer") -> None:
        async def send(message: Message) -> None:
            if answer.started or not body.too_large:  # else the app only reports that its body broke off
                await answer.send(message)

        with contextlib.suppress(_BrokenBody):  # comes back from routes that parse no form
            await self.app(scope, body.receive, send)
        if body.too_large and not answer.started:
            await answer.refuse(413, TOO_LARGE)


class _BrokenBody(MultiPartException):
    """The one exception on which Gradio deletes what it has stored of an upload."""


class _Body:
    """The body of a request, counted as it comes, because a chunked one does not announce its length."""

    def __init__(self, receive: Receive, *, limit: int, ends_in_error: bool) -> None:
        self.limit = limit
        self.too_large = False
        self._ends_in_error = ends_in_error
        self._receive = receive
        self._bytes = 0
        self._complete = False

    async def receive(self) -> Message:
        if self.too_large:
            raise _BrokenBody(TOO_LARGE)
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            self.too_large = self._bytes > self.limit
        cut_off = message["type"] == "http.disconnect" and not self._complete
        if self.too_large or (cut_off and self._ends_in_error):
            raise _BrokenBody("The request broke off.")
        return message


class _Answer:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = False
        self._asgi = scope, receive
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, status: int, sentence: str) -> None:
        await JSONResponse({"detail": sentence}, status)(*self._asgi, self.send)


def _announced_bytes(scope: Scope) -> float:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdecimal() and len(length) < 20 else math.inf


# Cleaning up


@contextlib.asynccontextmanager
async def sweeping(_app: object) -> AsyncIterator[None]:
    """Lifespan of the server: `sweep` every ten minutes while it runs."""

    async def forever() -> None:
        while True:
            await asyncio.to_thread(sweep, prepare_environment())
            await asyncio.sleep(SWEEP_SECONDS)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()


def sweep(folder: Path, *, older_than: float = 2 * FILE_SECONDS) -> None:
    """Delete what Gradio's own cleaning does not know, after `older_than` seconds: parts of uploads, and results that
    were never sent as a file. Finished uploads and the app's own pictures are Gradio's to delete."""
    newest = time.time() - older_than
    for path in [*folder.glob("tmp*"), *folder.glob("results/**/*")]:
        with contextlib.suppress(OSError):  # somebody else was faster
            if path.is_file() and path.stat().st_mtime < newest:
                path.unlink()


__all__ = ["BodyLimit", "launch_settings", "queue_settings", "serve", "sweep"]
