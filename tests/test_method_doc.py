"""docs/method.md names functions that exist, all of the codec's and of the attacks, and links that lead somewhere."""

import importlib
import inspect
import re
from functools import reduce
from pathlib import Path
from unicodedata import normalize

import pytest

from jpegdl.analysis import attacks, suites
from jpegdl.analysis.results.paper import PAPER
from jpegdl.analysis.results.robustness import MANY_STEPS
from jpegdl.codec import color, dct, quantizer, variants
from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import MIN_STEP, JPEGLayer
from jpegdl.codec.quantizer import MAX_INDEX
from jpegdl.pairs.recipe import Recipe
from jpegdl.training import sources
from jpegdl.training.catalogue import RECIPES

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


@pytest.mark.parametrize("module", [color, dct, quantizer, variants, attacks, suites], ids=lambda m: m.__name__)
def test_every_public_function_of_the_method_is_named(module):
    file = module.__name__.replace(".", "/")
    functions = {
        (name, file)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert functions <= set(NAMED)


@pytest.mark.parametrize("layer", [JPEGLayer, FeatureJPEGLayer])
def test_every_public_method_of_the_layers_is_named(layer):
    file = layer.__module__.replace(".", "/")
    methods = [name for name, value in vars(layer).items() if inspect.isfunction(value) and name[0] != "_"]
    assert {(f"{layer.__name__}.{name}", file) for name in methods} <= set(NAMED)


def test_relative_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert [link for link in links if not (DOCS / link).is_file()] == []


def test_names_without_a_link_are_linked_elsewhere_or_are_arguments():
    linked = {part for name, _ in NAMED for part in name.split(".")}
    arguments = {"coefficients", "steps", "alpha", "max_index", ".jpg", "tests/test_method_doc.py"}
    commands = {"python -m benchmarks.quantizers", "python -m benchmarks.quantus_check"}
    assert set(re.findall(r"`([^`\n]+)`", re.sub(r"\[`[^`]+`\]", "", TEXT))) <= linked | arguments | commands


def chosen(*ends: str) -> list[Recipe]:
    """The recipes whose names end so."""
    return [recipe for name, recipe in RECIPES.items() if name.endswith(ends)]


def test_the_stated_settings_are_the_recipes():
    assert "127 for b = 8" in TEXT
    assert MAX_INDEX == 127
    assert "q_max = 10" in TEXT
    assert all(recipe.max_initial_step == 10 for recipe in RECIPES.values())
    assert "224 px, 200 epochs" in TEXT
    assert (RECIPES["cub200-resnet18"].input_size, RECIPES["cub200-resnet18"].epochs) == (224, 200)
    relu, unlimited = chosen("-first_relu"), chosen("-quantize_only")
    assert ({r.bits for r in relu}, {r.bits for r in unlimited}) == ({6}, {None})
    absolute = chosen("-mean_absolute")
    assert {(r.bits, r.initial_tables) for r in absolute} == {(11, "mean absolute")}
    rest = [recipe for recipe in RECIPES.values() if recipe not in (*relu, *unlimited, *absolute)]
    assert {recipe.dataset for recipe in rest if recipe.bits != 8} == {"imagenet", "imagenette"}
    assert {recipe.quantizer for recipe in RECIPES.values() if recipe.name.count("-") == 1} == {"five levels"}


def test_the_stated_imagenet_settings_are_the_recipes():
    assert "ImageNet with b = 11, h = 0.7, table rate 0.5" in TEXT
    recipes = [recipe for recipe in RECIPES.values() if recipe.dataset == "imagenet"]
    assert {(r.bits, r.hardness, r.table_learning_rate) for r in recipes} == {(11, 0.7, 0.5)}
    assert {(r.initial_tables, r.table_optimizer) for r in recipes} == {("mean absolute", "sgd")}


def test_the_stated_controls_are_the_recipes():
    assert {recipe.quantizer for recipe in chosen("-clip_only")} == {"clip"}
    assert {recipe.table_optimizer for recipe in chosen("frozen", "-noop")} == {"none"}
    assert {recipe.initial_tables for recipe in chosen("-standard_frozen")} == {"standard"}
    assert {recipe.quantizer for recipe in chosen("-noop")} == {"identity"}
    held = chosen("-zero_dc")
    assert {(recipe.zero_dc, recipe.bits, recipe.rounds) for recipe in held} == {(True, 8, 1)}
    assert "127 · 10⁻⁵" in TEXT
    assert MIN_STEP == 1e-5


def test_the_stated_splits_of_flowers_are_the_recipes():
    assert "Flowers-102 by named splits" in TEXT
    flowers = {
        r.dataset: r.architecture for r in (RECIPES[name] for name in PAPER) if r.dataset.startswith("flowers102")
    }
    assert {d for d in flowers if flowers[d] == "efficientformer_l1"} == {"flowers102-trainval"}
    assert set(flowers) == {"flowers102-authors", "flowers102-trainval"}


def test_the_stated_attacks_are_the_suites():
    assert "ten values of ε from 1/255 to 4/255; PGD makes 5 steps of ε/2" in " ".join(TEXT.split())
    pgd = [attack for attack in suites.paper_suite() if attack.method == "pgd-last"]
    assert [round(255 * attack.epsilon, 2) for attack in pgd] == [1, 1.33, 1.67, 2, 2.33, 2.67, 3, 3.33, 3.67, 4]
    assert {(attack.steps, attack.step_size / attack.epsilon) for attack in pgd} == {(5, 0.5)}
    assert "50 steps and 5 starts" in TEXT
    long = [attack for attack in suites.strong_suite() if attack.method == "pgd"]
    assert {(attack.steps, attack.restarts) for attack in long} == {(MANY_STEPS, 5)} == {(50, 5)}
    (exponent,) = re.findall("below 10⁻([⁰¹²³⁴⁵⁶⁷⁸⁹]+) counts as 0", TEXT)
    assert float(f"1e-{normalize('NFKC', exponent)}") == attacks.ZERO


def test_the_stated_numbers_of_pictures_are_the_trainers():
    assert "at most 10,000 training pictures" in TEXT
    assert "more than 20,000 files" in TEXT
    assert (sources._STATISTICS, sources._IN_MEMORY) == (10_000, 20_000)
