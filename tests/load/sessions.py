"""N sessions, one result of 200 kB each: what the server keeps of people who are gone. No network runs."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from jpegdl.server.serving import serve
from tests.conftest import unused_port
from tests.load.machine import descriptors, megabytes
from tests.load.report import table, when

LONGEST = 900  # seconds; what was reached by then is reported
RESULT = "x" * 200_000
VISITORS = """
import sys
import httpx
from tests.visitors import Visitor
with httpx.Client(base_url=sys.argv[1], timeout=60, trust_env=False) as client:
    for number in range(int(sys.argv[2])):
        Visitor(client).ask(0, [str(number)])
"""


def sessions_table(folder: Path, count: int) -> str:
    """A small app in this process; its visitors in another one, so that their memory does not count."""

    def ask(question: str) -> dict[str, Any]:
        return {"answer": question + RESULT}

    with gr.Blocks() as demo:
        gr.Textbox()
        api(ask, api_name="ask", concurrency_id="networks", concurrency_limit=1)
    options: dict[str, Any] = {"server_port": unused_port(), "prevent_thread_lock": True, "quiet": True}
    _, url, _ = serve(demo, seconds_per_analysis=0.01, **options)
    rows, began, step = [], time.monotonic(), max(1, count // 10)
    for done in range(0, count + 1, step):
        rows.append((done, f"{megabytes(os.getpid()):.0f}", descriptors(os.getpid())))
        if done + step > count or time.monotonic() - began > LONGEST:
            break
        subprocess.run([sys.executable, "-c", VISITORS, url, str(step)], check=True)
    demo.close(verbose=False)
    return f"{when()}\n\n" + table(["sessions", "MB", "descriptors"], rows)
