"""The page's own scripts and styles, served from memory at addresses that change with their content.

A browser may keep such a file for a year without asking again, and no address leads out of the folder: what is served
are the entries of a dictionary that was filled once, at the start.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "jx"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_YEAR = "public, max-age=31536000, immutable"
_ADDRESS = re.compile(rf"(?:.*/)?{PREFIX}/([0-9a-f]{{12}})/([^/].*)", re.DOTALL)


@dataclass(frozen=True)
class PageFiles:
    """Files by name relative to their folder, such as "viewer/table.js", and a version that names their content.

    The version stands in the address's folder, so a module may import its neighbours by relative address.
    """

    version: str
    content: dict[str, bytes]

    def address(self, name: str) -> str:
        """Address of a file relative to the page, which may lie under a root path or in a frame."""
        if name not in self.content:
            raise ValueError(f"expected the name of a file that is served, one of {sorted(self.content)}; got {name!r}")
        return f"{PREFIX}/{self.version}/{name}"


def page_files(folder: Path, made: Mapping[str, bytes] | None = None) -> PageFiles:
    """Every file below `folder` whose type is in TYPES, read now, and those `made` otherwise, by name; of other types
    none is served."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in TYPES)
    content = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()} | dict(made or {})
    digest = hashlib.sha256()
    for name, data in content.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return PageFiles(digest.hexdigest()[:12], content)


class ServeFiles:
    """ASGI middleware: answers the addresses of `files`, whatever stands before them; all else goes to the app."""

    def __init__(self, app: ASGIApp, files: PageFiles) -> None:
        self._app = app
        self._files = files
        self._zipped = {name: gzip.compress(data, mtime=0) for name, data in files.content.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _ADDRESS.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        await self._answer(scope, version=found[1], name=found[2])(scope, receive, send)

    def _answer(self, scope: Scope, *, version: str, name: str) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Only GET and HEAD.", 405, {"Allow": "GET, HEAD"})
        if version != self._files.version or name not in self._files.content:
            # An older page asks for files that are no longer there; it must not keep that answer.
            return PlainTextResponse("No such file; load the page again.", 404, {"Cache-Control": "no-store"})
        headers = {
            "Cache-Control": _YEAR,
            "Vary": "Accept-Encoding",
            "Access-Control-Allow-Origin": "*",  # public files; a page that embeds this one imports its modules
        }
        body = self._files.content[name]
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        if b"gzip" in accepted and len(self._zipped[name]) < len(body):
            body, headers["Content-Encoding"] = self._zipped[name], "gzip"
        return Response(body, headers=headers, media_type=TYPES[Path(name).suffix])


__all__ = ["PageFiles", "ServeFiles", "page_files"]
