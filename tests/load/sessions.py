"""N sessions after each other, each with a picture of its own: what the app keeps of people who are gone."""

import time
from pathlib import Path

from jpegdl.server.memory import RELEASE_SECONDS
from tests.load.machine import descriptors, files_below, megabytes
from tests.load.report import table, when
from tests.load.visits import pictures, visit
from tests.running import PAIR, running

LONGEST = 1800  # seconds; what was reached by then is reported


def sessions_table(folder: Path, count: int) -> str:
    """The real app; every session opens the page, uploads, and reads its result through the queue."""
    began, step, failed = time.monotonic(), max(1, count // 10), 0
    with running(folder) as app:
        visits = (visit(app.url, picture, PAIR) for picture in pictures(count))
        rows = [_row(0, app.process, app.folder)]
        for done, came in enumerate(visits, 1):
            failed += came.result is None
            if done % step == 0:
                rows.append(_row(done, app.process, app.folder))
            if time.monotonic() - began > LONGEST:
                break
    header = ["sessions", "MB at rest", "descriptors", "files"]
    return f"{when()} {done} sessions, {failed} without a result.\n\n" + table(header, rows)


def _row(done: int, process: int, folder: Path) -> tuple[int, str, int, int]:
    """What is there once the server has given back what nobody uses."""
    time.sleep(RELEASE_SECONDS + 1)
    return done, f"{megabytes(process):.0f}", descriptors(process), files_below(folder)
