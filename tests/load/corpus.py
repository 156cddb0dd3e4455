"""Every kind of hostile file, sent as a visitor would."""

import time
from collections import Counter
from pathlib import Path

from tests.hostile import hostile_pictures
from tests.load.machine import files_below, megabytes
from tests.load.report import table, when
from tests.load.visits import visit
from tests.running import PAIR, running


def corpus_table(folder: Path, seconds: int) -> str:
    """What came of each file of tests/hostile.py, for at most so many seconds."""
    came: Counter[str] = Counter()
    slowest, name_of_slowest, vague = 0.0, "", []
    with running(folder) as app:
        visit(app.url, next(iter(hostile_pictures()))[1], PAIR)  # warm
        before, peak, end = megabytes(app.process), 0.0, time.monotonic() + seconds
        for name, data in hostile_pictures():
            if time.monotonic() > end:
                break
            done = visit(app.url, data, PAIR)
            kind = "accepted" if done.result else sentence(done.error)
            came[kind] += 1
            if kind == "vague or lost":
                vague.append(name)
            if done.answer > slowest:
                slowest, name_of_slowest = done.answer, name
            peak = max(peak, megabytes(app.process))
        files = files_below(app.folder)
    rows = [
        *came.most_common(),
        ("slowest answer", f"{slowest:.1f} s ({name_of_slowest})"),
        ("memory before, highest", f"{before:.0f}, {peak:.0f} MB"),
        ("files in the private folder", files),
    ]
    return f"{when()} {sum(came.values())} files.{' Vague: ' + ', '.join(vague) if vague else ''}\n\n" + table(
        ["what was said", "files"], rows
    )


def sentence(error: str | None) -> str:
    """The sentence of a refusal, shortened; anything else is a fault."""
    text = str(error)
    if "'error': '" not in text and "'error': \"" not in text:
        return "vague or lost"
    return text.split("'error': ", 1)[1][1:].split(";")[0][:70]
