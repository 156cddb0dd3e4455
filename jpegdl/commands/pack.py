"""pack and unpack: an unfinished run as one file, to go on with it on another machine."""

import argparse
from pathlib import Path

from jpegdl.commands.options import Commands, add_threads, folder
from jpegdl.training.packing import pack, unpack
from jpegdl.training.settings import work_folder


def add(commands: Commands) -> None:
    packing = commands.add_parser("pack", help="an unfinished run as one small file, to go on elsewhere")
    packing.set_defaults(run=_pack)
    packing.add_argument("folder", type=folder, metavar="RUN", help="folder that the pair is to have, train's --out")
    packing.add_argument("file", type=Path, metavar="FILE", help="file to write")

    unpacking = commands.add_parser("unpack", help="put a packed run where `train --resume` goes on with it")
    unpacking.set_defaults(run=_unpack)
    unpacking.add_argument("file", type=Path, metavar="FILE", help="file that pack wrote")
    unpacking.add_argument("folder", type=folder, metavar="RUN", help="folder that the pair is to have, train's --out")

    for command in (packing, unpacking):
        add_threads(command)


def _pack(arguments: argparse.Namespace) -> None:
    size = pack(work_folder(arguments.folder), arguments.file)
    print(f"{arguments.file}: {size / 1e6:.1f} MB; unpack it elsewhere, then train --resume with the same settings")


def _unpack(arguments: argparse.Namespace) -> None:
    unpack(arguments.file, work_folder(arguments.folder))
    print(f"{arguments.folder}: the run is there; go on with train --resume and the settings that it was started with")
