"""N sessions, one result each: what a server keeps of people who are gone."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.load.machine import descriptors, megabytes
from tests.load.report import table, when
from tests.load.visits import pictures, visit
from tests.running import PAIR, running

AT_ONCE = 4
LONGEST = 900  # seconds; what was reached by then is reported


def sessions_table(folder: Path, count: int) -> str:
    """Few pictures, so that few networks run: the memory is that of sessions, messages, results and files."""
    sent = pictures(8)
    rows = []
    with running(folder) as app, ThreadPoolExecutor(AT_ONCE) as pool:
        started, failed = time.monotonic(), 0
        step = max(1, count // 10)
        for done in range(0, count + 1, step):
            rows.append((done, f"{megabytes(app.process):.0f}", descriptors(app.process), failed))
            if done == count or time.monotonic() - started > LONGEST:
                break
            visits = pool.map(lambda number: visit(app.url, sent[number % len(sent)], PAIR), range(step))
            failed += sum(one.result is None for one in visits)
    return f"{when()} {len(sent)} different pictures.\n\n" + table(["sessions", "MB", "descriptors", "failed"], rows)
