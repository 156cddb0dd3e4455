"""Serving the page to strangers: every protection of this room put together around Gradio. No page content."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from jpegdl.server.decoding import Decoders
from jpegdl.server.door import Door
from jpegdl.server.environment import prepare_environment
from jpegdl.server.files import PageFiles, ServeFiles
from jpegdl.server.gaps import close_gaps
from jpegdl.server.health import Health
from jpegdl.server.memory import RELEASE_SECONDS, release_freed_memory
from jpegdl.server.policy import headers
from jpegdl.server.ports import free_port
from jpegdl.server.stopping import run_until_stopped
from jpegdl.server.sweeping import SWEEP_SECONDS, repeating, sweep
from jpegdl.server.uploads import MAX_BYTES
from jpegdl.server.waiting import WaitingRoom

SESSIONS = 1000  # whose changed settings, such as the choices of a menu, are kept; the oldest is forgotten first


def serve(
    demo: gr.Blocks,
    *,
    seconds_per_analysis: float,
    files: PageFiles | None = None,
    decoders: Decoders | None = None,
    is_remembered: Callable[[str, list[Any]], bool] = lambda name, values: False,
    why_not_ready: Callable[[], str | None] = lambda: None,
    **page: Any,
) -> tuple[Any, str, str]:
    """Queue and launch `demo` with every protection; the process ends when it is told to.

    `files`: the page's own scripts and styles. `decoders` decode the uploads that a call names before it is its turn.
    `is_remembered`: which calls run no network, and so wait for none (`WaitingRoom`).
    `why_not_ready`: for /readyz, besides what the queue says. `page`: further arguments of launch (css, head, theme
    ...); with prevent_thread_lock=True it returns at once, what launch returns. Host and port come from
    GRADIO_SERVER_NAME (else this machine only) and GRADIO_SERVER_PORT (else 7860).
    """
    close_gaps()
    demo.api_open = False  # else a direct call passes the queue by
    demo._queue = room = WaitingRoom(demo, seconds=seconds_per_analysis, decoders=decoders, is_remembered=is_remembered)
    goes_on = page.pop("prevent_thread_lock", False)
    port = page.pop("server_port", None) or free_port()
    middleware = [
        Middleware(Health, lambda: room.why_closed() or why_not_ready()),
        Middleware(Door, room.expect_reader, headers()),
        *([Middleware(ServeFiles, files)] if files else []),
    ]
    settings = launch_settings(app_kwargs={"middleware": middleware, "lifespan": lifespan(demo, room, decoders)})
    launched: tuple[Any, str, str] = demo.launch(server_port=port, prevent_thread_lock=True, **settings, **page)
    if not goes_on:
        run_until_stopped(demo, room)
    return launched


def launch_settings(**settings: Any) -> dict[str, Any]:
    """Arguments of Blocks.launch for a public app; those that repeat a default would else follow the environment."""
    return {
        "max_file_size": MAX_BYTES,
        "max_threads": 40,
        "state_session_capacity": SESSIONS,
        "show_error": False,  # gr.Error shows all the same; other exceptions name files of the server
        "enable_monitoring": False,  # None would open /monitoring/summary to everybody
        "run_history": False,  # it would stay in the browser of a shared classroom machine
        "strict_cors": True,
        "ssr_mode": False,
        "mcp_server": False,
        "num_workers": 0,  # separate processes for uploads would have no Door
        "share": False,
        "pwa": False,
        "debug": False,
        **settings,
    }


def lifespan(
    demo: gr.Blocks, room: WaitingRoom, decoders: Decoders | None
) -> Callable[[object], contextlib.AbstractAsyncContextManager[None]]:
    """What runs beside the server: cleaning up."""

    def sweep_once() -> None:
        kept = {path for block in demo.blocks.values() for path in getattr(block, "keep_in_cache", ())}
        gone = {str(path) for path in sweep(prepare_environment(), keep=kept)}
        for known in demo.temp_file_sets:  # Gradio never forgets a name
            known -= gone
        if decoders:
            decoders.forget_deleted()

    @contextlib.asynccontextmanager
    async def around(_app: object) -> AsyncIterator[None]:
        room.loop = asyncio.get_running_loop()
        async with repeating(sweep_once, SWEEP_SECONDS), repeating(release_freed_memory, RELEASE_SECONDS):
            yield

    return around


__all__ = ["launch_settings", "serve"]
