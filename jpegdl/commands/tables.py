"""tables: a pair's learned tables for cjpeg."""

import argparse

from jpegdl.codec.jpegfile import cjpeg_qtables_text
from jpegdl.commands.options import Commands, add_threads, pair_folder
from jpegdl.pairs.checkpoints import load_pair


def add(commands: Commands) -> None:
    tables = commands.add_parser("tables", help="print a pair's learned tables for cjpeg -qtables")
    tables.set_defaults(run=_tables)
    tables.add_argument("pair", type=pair_folder, help="folder of the pair")
    add_threads(tables)


def _tables(arguments: argparse.Namespace) -> None:
    print(cjpeg_qtables_text(load_pair(arguments.pair).tables[0]), end="")
