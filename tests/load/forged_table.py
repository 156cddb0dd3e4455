"""N forged requests to the real app."""

from pathlib import Path

import httpx

from tests.load.forged import storm
from tests.load.machine import descriptors, megabytes
from tests.load.report import table, when
from tests.load.visits import pictures, visit
from tests.running import PAIR, running


def forged_table(folder: Path, count: int) -> str:
    with running(folder) as app, httpx.Client(base_url=app.url, timeout=60, trust_env=False) as client:
        before = megabytes(app.process), descriptors(app.process)
        statuses = storm(client, count)
        ready = client.get("/readyz").status_code
        answered = visit(app.url, next(pictures(1)), PAIR).result is not None
        after = megabytes(app.process), descriptors(app.process)
    log = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    rows = [
        *((f"answers with status {status}", number) for status, number in sorted(statuses.items())),
        ("tracebacks in the log", log.count("Traceback")),
        ("ready afterwards", ready == 200),
        ("an ordinary visitor was answered afterwards", answered),
        ("memory before, after", f"{before[0]:.0f}, {after[0]:.0f} MB"),
        ("descriptors before, after", f"{before[1]}, {after[1]}"),
    ]
    return f"{when()}\n\n" + table(["", f"{count} requests"], rows)
