"""Ending well: on SIGTERM and Ctrl-C the waiting are told, what runs ends, the private folder goes, the exit is 0."""

import asyncio
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

import gradio as gr

from jpegdl.server.folders import remove_private_folders
from jpegdl.server.waiting import WaitingRoom

DRAIN_SECONDS = 6  # for what runs and for the last messages; with closing, under the 10 s that containers are given
CLOSE_SECONDS = 2  # for connections that are still open then


def exit_on_sigterm() -> None:
    """Until the server runs: leave as on Ctrl-C, so that what is registered for the exit is done."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def run_until_stopped(demo: gr.Blocks, room: WaitingRoom) -> NoReturn:
    """Wait for SIGTERM or Ctrl-C, tell everybody, and exit. A second signal ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    while not stop.wait(1):  # an endless wait would not see the signal on Windows
        pass
    close(demo, room)
    remove_private_folders()
    sys.stdout.flush()
    os._exit(0)  # without taking PyTorch apart, which took up to 17 s


def close(demo: gr.Blocks, room: WaitingRoom) -> None:
    """End the server in at most DRAIN_SECONDS + CLOSE_SECONDS and a little."""
    if room.loop is not None:
        told = asyncio.run_coroutine_threadsafe(room.drain(DRAIN_SECONDS), room.loop)
        told.result(timeout=DRAIN_SECONDS + 1)
    demo.server.config.timeout_graceful_shutdown = CLOSE_SECONDS
    demo.close(verbose=False)


__all__ = ["close", "exit_on_sigterm", "run_until_stopped"]
