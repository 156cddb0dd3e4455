"""Command line of the load tool; see docs/reliability.md for what it found."""

import argparse
import tempfile
from pathlib import Path

from tests.load.corpus import corpus_table
from tests.load.forged_table import forged_table
from tests.load.report import write_section
from tests.load.sessions import sessions_table
from tests.load.users import users_table

COMMANDS = {
    "users": (users_table, "N people at once: page, upload, queue, result; each answer against an idle server's", 50),
    "sessions": (sessions_table, "N sessions, one analysis each: what the server's memory does", 2000),
    "corpus": (corpus_table, "every kind of hostile file, N seconds at the most", 300),
    "forged": (forged_table, "N requests that no page sends", 1000),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description="Load on an app of its own, on loopback.")
    parser.add_argument("--no-report", action="store_true", help="print the table, leave docs/reliability.md as it is")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, text, count) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("count", type=int, nargs="?", default=count)
    arguments = parser.parse_args()
    if not 1 <= arguments.count <= 10_000:
        parser.error("expected a count from 1 to 10000")
    with tempfile.TemporaryDirectory() as folder:
        text = COMMANDS[arguments.command][0](Path(folder), arguments.count)
    print(text)
    if not arguments.no_report:
        name = f"users-{arguments.count}" if arguments.command == "users" else arguments.command
        write_section(name, text)


if __name__ == "__main__":
    main()
