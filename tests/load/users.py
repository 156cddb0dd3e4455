"""N people in the same moment."""

import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.load.machine import descriptors, files_below, megabytes
from tests.load.report import table, when
from tests.load.visits import Visit, pictures, reference, visit
from tests.running import PAIR, running

DIFFERENT = 24  # pictures; a class has some of its own and the examples


def users_table(folder: Path, count: int) -> str:
    sent = list(pictures(min(count, DIFFERENT)))
    with running(folder) as app:
        before = megabytes(app.process), descriptors(app.process)
        with ThreadPoolExecutor(count) as pool:
            visits = list(pool.map(lambda number: visit(app.url, sent[number % len(sent)], PAIR), range(count)))
        after = megabytes(app.process), descriptors(app.process)
        files = files_below(app.folder)
    with running(folder) as idle:
        right = reference(idle.url, sent, PAIR)
    return describe(visits, right, before, after, files)


def describe(
    visits: Sequence[Visit],
    right: Sequence[str | None],
    before: tuple[float, int],
    after: tuple[float, int],
    files: int,
) -> str:
    wrong = sum(done.result is not None and done.result != right[n % len(right)] for n, done in enumerate(visits))
    answered = [done for done in visits if done.result is not None]
    refusals = [seconds for done in visits for seconds in done.refused]
    waits = [done.answer for done in answered]
    rows = [
        ("answered", f"{len(answered)} of {len(visits)}"),
        ("other than the idle server's answer", wrong),
        ("lost (no answer, no refusal)", sum(done.error is not None and not done.refused for done in visits)),
        ("refusals (all were asked again), slowest", f"{len(refusals)}, {max(refusals, default=0):.1f} s"),
        ("saw a position in the queue", sum(done.saw_a_position for done in visits)),
        ("page: p50, p95, p99", percentiles([done.page for done in visits])),
        ("upload: p50, p95, p99", percentiles([done.upload for done in visits if done.upload])),
        ("from joining to the result: p50, p95, p99", percentiles(waits)),
        ("longest wait / median wait", f"{max(waits) / statistics.median(waits):.1f}" if waits else "-"),
        ("memory before, after", f"{before[0]:.0f}, {after[0]:.0f} MB"),
        ("descriptors before, after", f"{before[1]}, {after[1]}"),
        ("files in the private folder", files),
        ("errors", "; ".join(sorted({str(done.error)[:80] for done in visits if done.error})) or "none"),
    ]
    return f"{when()} {len(right)} different pictures.\n\n" + table(["", f"{len(visits)} at once"], rows)


def percentiles(values: Sequence[float]) -> str:
    if not values:
        return "-"
    ordered = sorted(values)
    return (
        ", ".join(f"{ordered[min(len(ordered) - 1, int(part * len(ordered)))]:.1f}" for part in (0.5, 0.95, 0.99))
        + " s"
    )
