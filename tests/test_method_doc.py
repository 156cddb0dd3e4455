"""docs/method.md names functions that exist, all of the codec's, and links that lead somewhere."""

import importlib
import inspect
import re
from functools import reduce
from pathlib import Path

import pytest

from jpegdl.codec import color, dct, quantizer
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import MAX_INDEX
from jpegdl.training.recipes import RECIPES

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "method.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"\[`([\w.]+)`\]\(\.\./(jpegdl/[\w/]+)\.py\)", TEXT)))


def test_functions_are_named_with_their_files():
    assert len(NAMED) > 30


@pytest.mark.parametrize(("name", "file"), NAMED)
def test_a_named_function_exists_in_the_file_it_links_to(name, file):
    module = importlib.import_module(file.replace("/", "."))
    found: object = reduce(getattr, name.split("."), module)
    assert callable(found) or isinstance(found, property)
    owner = getattr(module, name.split(".")[0])
    assert owner.__module__ == module.__name__  # defined there, not imported


def test_every_public_function_of_the_layer_is_named():
    functions = {
        name
        for module in (color, dct, quantizer)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    methods = {
        f"JPEGLayer.{name}" for name, value in vars(JPEGLayer).items() if inspect.isfunction(value) and name[0] != "_"
    }
    assert functions | methods <= {name for name, _ in NAMED}


def test_relative_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert [link for link in links if not (DOCS / link).is_file()] == []


def test_names_without_a_link_are_linked_elsewhere_or_are_arguments():
    linked = {part for name, _ in NAMED for part in name.split(".")}
    arguments = {"coefficients", "steps", "alpha", "max_index", ".jpg", "tests/test_method_doc.py"}
    commands = {"python -m benchmarks.quantizers"}
    assert set(re.findall(r"`([^`\n]+)`", re.sub(r"\[`[^`]+`\]", "", TEXT))) <= linked | arguments | commands


def test_the_stated_settings_are_the_recipes():
    assert "127 for b = 8" in TEXT
    assert MAX_INDEX == 127
    assert "q_max = 10" in TEXT
    assert "224 px, 200 epochs" in TEXT
    assert all((r.bits, r.max_initial_step) == (8, 10) for r in RECIPES.values())
    assert (RECIPES["flowers17-resnet18"].input_size, RECIPES["flowers17-resnet18"].epochs) == (224, 200)
