"""HTML from the templates of this room. Every text is escaped by the templates, not by whoever passes it."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jpegdl.analysis.results.words import signed

_SPACE = "\u00a0"  # keeps a number and its unit together


def render(template: str, **values: Any) -> str:
    """The template of this file name, filled in. Raises if it names a value that is missing."""
    return _templates.get_template(template).render(**values)


def percent(share: float, digits: int = 1) -> str:
    """A share 0..100 with its sign."""
    return f"{share:.{digits}f}{_SPACE}%"


def data_address(data: bytes, kind: str) -> str:
    """A small file as an address, so that the server need not keep it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"percent": percent, "points": signed}

__all__ = ["data_address", "percent", "render"]
