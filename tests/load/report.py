"""Tables in docs/reliability.md, each between two comments that name it."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

REPORT = Path(__file__).parents[2] / "docs" / "reliability.md"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def when() -> str:
    """When and on what a table was made."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    day = datetime.now(UTC).date().isoformat()
    return f"{day}, {os.cpu_count()} cores, load average {busy:.0f} at the end (other work was running)."


def write_section(name: str, text: str, report: Path = REPORT) -> None:
    """Put `text` between the comments of this name. Raises ValueError if they are not there."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = report.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        raise ValueError(f"expected the comments {begin} and {end} in {report.name}; write them where the table goes")
    before, after = old.split(begin)[0], old.split(end)[1]
    report.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
