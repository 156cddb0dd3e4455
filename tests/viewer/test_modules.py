"""What docs/architecture.md promises of the viewer's modules, read from their source."""

import re
from pathlib import Path

import pytest

VIEWER = Path(__file__).parents[2] / "jpegdl" / "ui" / "static" / "viewer"
MODULES = sorted(VIEWER.glob("*.js"))
OUTSIDE = re.compile(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|gradio|localStorage|innerHTML)\b", re.I)
PURE = ("maps.js", "place.js", "numbers.js", "colours.js")


def source(path: Path) -> str:
    """Without comments, which may speak of anything."""
    return re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_is_short_asks_nobody_and_imports_its_neighbours_only(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 250
    assert text.startswith("/**")
    assert not OUTSIDE.search(source(path))
    imported = re.findall(r'from "([^"]+)"', source(path))
    assert all((VIEWER / name).parent == VIEWER and (VIEWER / name).is_file() for name in imported)


def test_what_is_computed_needs_no_document():
    for name in PURE:
        assert not re.search(r"\b(document|window|element|sheet)\b", source(VIEWER / name))


def test_every_module_is_used():
    imported = {name for path in MODULES for name in re.findall(r'from "\./([^"]+)"', source(path))}
    assert {path.name for path in MODULES} == imported | {"table.js"}


def test_every_export_is_used():
    texts = {path.name: source(path) for path in MODULES}
    for name, text in texts.items():
        for export in re.findall(r"export (?:const|function|async function) (\w+)", text):
            users = [other for other, content in texts.items() if re.search(rf"\b{export}\b", content)]
            assert export == "mountTable" or len(users) > 1, f"{name} exports {export} for nobody"
