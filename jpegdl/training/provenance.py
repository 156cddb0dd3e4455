"""Which version of this code a card was written by, wherever the command was started."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = "jpegdl-explorer"


def code_version(package: Path = _PACKAGE) -> str:
    """The commit of the git checkout that holds the package, with -dirty where the package was changed since.

    Without such a checkout it is the version of the installed package, or nothing.
    """
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")  # or the checkout around it is another project's
        dirty = _git(package, "status", "--porcelain", "--", ".")
        return _git(package, "rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    try:
        return version(_INSTALLED)
    except PackageNotFoundError:
        return ""


def _git(folder: Path, *arguments: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # of a hook, elsewhere
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=own, encoding="utf-8").stdout.strip()
