"""The paper's figures: a cell for every recipe that has one, and sums that agree with the gains that it prints."""

import ast
import sys
from pathlib import Path

import pytest

from jpegdl.analysis.results import paper
from jpegdl.analysis.results.paper import (
    CONTROLS,
    DATA,
    FIRST_TABLES,
    METHODS,
    PAPER,
    PaperFigure,
    difference_of,
    listing,
)
from jpegdl.pairs.recipe import Recipe
from jpegdl.training.catalogue import RECIPES

# The gains as the paper prints them, row by row of its tables; typed apart from the accuracies.
PRINTED = {
    "cifar100-resnet32": 0.78,
    "cifar100-resnet56": 1.05,
    "cifar100-resnet110": 0.67,
    "cifar100-vgg8": 0.74,
    "cifar100-vgg13": 1.55,
    "cifar100-mobilenetv2_half": 1.31,
    "cifar100-shufflenetv2": 1.22,
    "cifar100-efficientformer_l1": 0.22,
    "flowers102-trainval-efficientformer_l1": 3.27,
    "pets-efficientformer_l1": 3.76,
    "imagenet-squeezenet1_1": 0.31,
    "imagenet-squeezenet1_1-rounds5": 0.51,
    "imagenet-resnet18": 0.38,
    "imagenet-resnet34": 0.23,
}
COLUMNS = ("cub200", "stanford_dogs", "flowers102-authors", "pets")  # of the tables below
PRINTED_ROWS = {
    "resnet18": (4.81, 1.86, 11.63, 4.47),
    "preact_resnet18": (4.81, 1.86, 11.63, 4.47),
    "densenet121": (3.62, 3.06, 20.90, 5.64),
    "resnet18-additive_noise": (-3.22, -10.24, -1.67, -14.23),
    "resnet18-cubic": (1.34, -0.68, -1.35, 1.08),
    "resnet18-straight_through": (-2.42, -3.26, 0.91, -1.56),
    "densenet121-additive_noise": (-5.70, -6.54, -4.72, -8.35),
    "densenet121-cubic": (-0.51, 0.29, -0.28, -0.31),
    "densenet121-straight_through": (-1.24, -1.72, 4.60, -0.68),
    "resnet18-first_relu": (5.27, 1.62, 14.97, 5.74),
}
PRINTED |= {
    f"{data}-{row}": gain for row, gains in PRINTED_ROWS.items() for data, gain in zip(COLUMNS, gains, strict=True)
}
MISPRINTED = "flowers102-authors-densenet121-straight_through"


def difference(recipe: Recipe) -> str:
    return difference_of(recipe.name, recipe.dataset, recipe.architecture)


def test_every_figure_belongs_to_a_recipe():
    assert set(PAPER) <= set(RECIPES)


def test_every_recipe_on_the_papers_data_has_a_figure_unless_it_is_a_control_or_of_another_network():
    papers = {(recipe.dataset, recipe.architecture) for recipe in RECIPES.values() if recipe.name in PAPER}
    without = {recipe for recipe in RECIPES.values() if recipe.dataset in DATA and recipe.name not in PAPER}
    controls = {recipe for recipe in without if (recipe.dataset, recipe.architecture) in papers}
    assert {difference(recipe) for recipe in controls} == set(CONTROLS)
    assert {difference(recipe) for recipe in without - controls} == {"", *FIRST_TABLES}


def test_recipes_on_other_data_have_no_figure():
    assert {RECIPES[name].dataset for name in PAPER} == set(DATA)


def test_every_difference_in_a_recipes_name_has_a_meaning():
    differences = {difference(recipe) for recipe in RECIPES.values()}
    assert differences == {"", "rounds5", *CONTROLS, *METHODS, *FIRST_TABLES}


def test_baseline_and_accuracy_differ_by_the_gain_that_the_paper_prints():
    assert set(PRINTED) == set(PAPER)
    wrong = {name for name, figure in PAPER.items() if round(figure.jpegdl - figure.baseline, 2) != PRINTED[name]}
    assert wrong == {MISPRINTED}
    assert f"{PRINTED[MISPRINTED]:.2f}" in PAPER[MISPRINTED].note


def test_rows_of_tables_6_and_7_have_the_baseline_of_table_2():
    rows = {name: figure for name, figure in PAPER.items() if figure.table in ("Table 6", "Table 7")}
    assert len(rows) == 28
    for name, figure in rows.items():
        base = PAPER[name.removesuffix(f"-{difference(RECIPES[name])}")]
        assert (base.table, base.baseline, base.baseline_std) == ("Table 2", figure.baseline, figure.baseline_std)


def test_the_text_that_names_preact_gets_the_figures_of_the_network_that_ran():
    named = [name for name in PAPER if "preact" in name]
    assert len(named) == 4
    for name in named:
        ran = PAPER[name.replace("preact_", "")]
        assert PAPER[name] == PaperFigure(**(vars(ran) | {"note": PAPER[name].note}))
        assert "ordinary ResNet-18" in PAPER[name].note


def test_only_single_runs_and_copied_baselines_have_no_deviation():
    single = {name for name, figure in PAPER.items() if figure.jpegdl_std is None}
    assert single == {name for name in PAPER if name.startswith("imagenet-")}
    copied = {name for name, figure in PAPER.items() if figure.baseline_std is None} - single
    assert copied == {name for name, figure in PAPER.items() if figure.table == "Table 1"}


def test_the_listing_is_a_table_with_every_recipe_and_its_figures():
    header, *lines = listing(RECIPES.values()).splitlines()
    rows, notes = lines[: len(RECIPES)], lines[len(RECIPES) :]
    starts = [header.index(title) for title in ("recipe", "network", "paper:", "table")]
    ends = [header.index(title) + len(title) for title in ("px", "epochs")]
    for row, recipe in zip(rows, RECIPES.values(), strict=True):
        cells = [row[start:].split("  ")[0] for start in starts]
        numbers = [int(row[:end].split()[-1]) for end in ends]
        assert cells[:2] == [recipe.name, recipe.architecture]
        assert numbers == [recipe.input_size, recipe.epochs]
        figure = PAPER.get(recipe.name)
        if figure is None:
            assert cells[2:] == ["-", "control" if difference(recipe) in CONTROLS else "ours"]
        else:
            deviations = [f" ± {std:.2f}" if std else "" for std in (figure.baseline_std, figure.jpegdl_std)]
            gain = figure.jpegdl - figure.baseline
            before, after = f"{figure.baseline:.2f}{deviations[0]}", f"{figure.jpegdl:.2f}{deviations[1]}"
            assert cells[2] == f"{before} -> {after} ({gain:+.2f})"
            number = notes.index(next(n for n in notes if n.endswith(figure.note))) + 1 if figure.note else None
            assert cells[3] == (f"{figure.table} [{number}]" if number else figure.table)
    assert len(notes) == len({figure.note for figure in PAPER.values() if figure.note})


@pytest.mark.parametrize("name", ["flowers17-resnet18", "cub50-efficientnet_lite0"])
def test_a_listing_of_one_recipe_has_no_notes(name):
    assert listing([RECIPES[name]]).count("\n") == 1


def test_the_figures_need_the_standard_library_alone():
    tree = ast.parse(Path(paper.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules <= set(sys.stdlib_module_names) | {"collections.abc"}
