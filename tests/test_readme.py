"""The README's promises: the Space's front matter, commands, dependencies and links."""

import fnmatch
import re
import shlex
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from packaging.specifiers import SpecifierSet

from jpegdl.__main__ import parser
from jpegdl.analysis.attacks import ART
from jpegdl.analysis.panels import NAMES
from jpegdl.pairs.card import card_from_json
from jpegdl.pairs.weights import PACKAGES
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.readers import READERS
from tests.running import shared_app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

SPACE_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SPACE_FIELDS = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "header"),
    *(
        "short_description",
        "suggested_hardware",
        "license",
        "tags",
        "thumbnail",
        "models",
        "datasets",
        "pinned",
    ),
}
SPACE_HARDWARE = {"cpu-basic", "cpu-upgrade", "t4-small", "t4-medium", "l4x1", "a10g-small"}


@pytest.fixture(scope="module")
def front_matter() -> dict[str, Any]:
    opening, matter, _ = README.split("---\n", 2)
    assert opening == "", "the front matter must be the first thing in the file"
    parsed: dict[str, Any] = yaml.safe_load(matter)
    return parsed


def pins(file: str) -> dict[str, str]:
    """Package -> version of every line of a requirements file, without included files."""
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("-r "))


def section(heading: str) -> str:
    """The text under a second-level heading, up to the next one."""
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table_rows(text: str) -> list[list[str]]:
    """Cells of the rows of the tables in `text`, without heads and rulers."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    rulers = [index for index, row in enumerate(rows) if set("".join(row)) <= set("-: ")]
    return [row for index, row in enumerate(rows) if index not in rulers and index + 1 not in rulers]


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def minimum_python() -> str:
    required: str = PROJECT["requires-python"]
    return required.removeprefix(">=")


def test_front_matter_uses_only_fields_that_spaces_read(front_matter: dict[str, Any]) -> None:
    assert set(front_matter) <= SPACE_FIELDS


def test_the_space_runs_app_py_with_gradio(front_matter: dict[str, Any]) -> None:
    assert front_matter["sdk"] == "gradio"
    assert (ROOT / front_matter["app_file"]).is_file()


def test_sdk_version_is_the_gradio_pin(front_matter: dict[str, Any]) -> None:
    assert front_matter["sdk_version"] == pins("requirements.txt")["gradio"]


def test_space_python_is_a_quoted_string_that_the_project_accepts(front_matter: dict[str, Any]) -> None:
    assert isinstance(front_matter["python_version"], str), "quote it: 3.10 would be the number 3.1"
    assert version(front_matter["python_version"]) >= version(minimum_python())


def test_front_matter_values_are_valid(front_matter: dict[str, Any]) -> None:
    assert {front_matter["colorFrom"], front_matter["colorTo"]} <= SPACE_COLOURS
    assert front_matter["header"] in {"mini", "default"}
    assert front_matter["suggested_hardware"] in SPACE_HARDWARE
    assert front_matter["license"].upper() == PROJECT["license"] == "MIT"


def test_short_description_fits_the_card(front_matter: dict[str, Any]) -> None:
    assert 0 < len(front_matter["short_description"]) <= 60


def test_every_requirement_is_pinned_exactly() -> None:
    for file in ("requirements.txt", "requirements-dev.txt"):
        for package, pin in pins(file).items():
            assert re.fullmatch(r"\d+(\.\d+)+", pin), f"{file}: {package}=={pin}"


def test_dependency_table_gives_a_reason_for_each_requirement_and_for_nothing_else() -> None:
    reasons = dict(table_rows(section("Dependencies and why")))
    assert set(reasons) == {*pins("requirements.txt"), *pins("requirements-dev.txt")}
    assert [name for name, reason in reasons.items() if len(reason) < 5] == []


def test_versions_in_the_dependency_table_are_the_pins() -> None:
    current = pins("requirements.txt")
    for name, reason in table_rows(section("Dependencies and why")):
        for found in re.findall(r"\b\d+\.\d+\.\d+\b", reason):
            assert found in current.values(), f"{name}: {found} is pinned nowhere"


def test_the_package_that_attack_asks_for_is_the_development_pin() -> None:
    name, pin = ART.split("==")
    assert pins("requirements-dev.txt")[name] == pin


def test_the_package_of_imagenet_weights_is_the_one_that_training_asks_for() -> None:
    ((package, *_),) = PACKAGES.values()
    assert f"`{package}`" in section("Train a pair yourself")


def test_training_commands_are_accepted_by_the_command_line() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", section("Train a pair yourself"), re.DOTALL)
    commands = [
        shlex.split(line, comments=True)
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
        if "jpegdl" in line
    ]
    words = [command[command.index("-m") + 2 :] for command in commands]
    assert {command[0] for command in words} == {
        *("train", "pack", "unpack", "reproduce", "evaluate", "attack", "record", "results")
    }
    pair = str(next((ROOT / "checkpoints").iterdir()))
    for command in words:
        given = [pair if word in ("checkpoints/NAME", "runs/NAME") else word for word in command]
        parser().parse_args(given)  # exits for a recipe, an option or a pair that does not exist


def test_options_named_in_the_training_section_exist() -> None:
    text = section("Train a pair yourself")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "jpegdl/commands").glob("*.py"))
    known = {"--nproc-per-node", *re.findall(r"--[a-z-]+", code)}
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known


def test_data_sets_in_the_training_section_can_be_read() -> None:
    named = {name for row in table_rows(section("Train a pair yourself")) for name in re.findall(r"`(\w+)`", row[0])}
    assert named <= set(READERS)
    assert {recipe.dataset.split("-")[0] for recipe in RECIPES.values()} <= named


def test_the_table_of_pairs_names_recipes_every_shipped_pair_and_how_it_departs() -> None:
    departed = {row[0].strip("`"): row[3] for row in table_rows(section("The pairs"))}
    cards = [card_from_json(path.read_text()) for path in sorted((ROOT / "checkpoints").glob("*/pair.json"))]
    assert set(departed) <= set(RECIPES)
    assert {card.name for card in cards} <= set(departed)
    units = {"input_size": "{} px", "epochs": "{} epochs"}
    for card in cards:
        for field in set(card.departures) - {"milestones"}:
            text = units[field].format(getattr(card.recipe, field))
            assert f"{text} instead of {card.departures[field]}" in departed[card.name], card.name


def test_make_commands_in_the_readme_are_targets() -> None:
    code = re.findall(r"`([^`\n]+)`", README) + re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    named = {target for text in code for target in re.findall(r"(?:^|\n)make ([a-z]+)", text)}
    targets = set(re.findall(r"^([a-z]+):.* ## ", MAKEFILE, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_every_make_command_has_a_help_text() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(re.findall(r"^([a-z]+):.* ## ", MAKEFILE, re.MULTILINE)) == set(phony.split())


def test_readme_names_the_oldest_python_that_the_project_accepts() -> None:
    assert f"Python {minimum_python()} or newer" in section("Try it")


def test_readme_and_makefile_name_the_same_port() -> None:
    (port,) = re.findall(r"^PORT \?= (\d+)$", MAKEFILE, re.MULTILINE)
    assert f"http://127.0.0.1:{port}" in section("Try it")


def test_repository_map_names_existing_paths() -> None:
    paths = [re.findall(r"`([^`]+)`", row[0])[0] for row in table_rows(section("Repository map"))]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")]), ids=lambda page: page.name)
def test_relative_links_lead_to_files(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)", prose)
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_installed_pin_accepts_the_oldest_python() -> None:
    for package in (*pins("requirements.txt"), *pins("requirements-dev.txt")):
        accepted = metadata(package)["Requires-Python"] or ""  # a package may leave it open
        assert SpecifierSet(accepted).contains(minimum_python()), f"{package} needs Python {accepted}"


def test_citation_names_this_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (paper,) = citation["references"]
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert "2410.07081" in paper["url"]
    assert all(author["family-names"] in README for author in paper["authors"])


def test_the_script_of_the_readme_runs_as_it_stands(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    script = README.split("<!-- api -->\n```python\n")[1].split("```\n<!-- /api -->")[0]
    address = re.findall(r'Client\("(http[^"]+)"\)', script)
    app = shared_app(pytestconfig, tmp_path_factory.mktemp("app"))
    found: dict[str, Any] = {}
    exec(compile(script.replace(address[0], app.url), "README.md", "exec"), found)
    numbers, files = found["numbers"], found["files"]
    assert numbers["settings"] == {
        "target": "shared",
        "true_class": "sunflower",
        "stage": "stage 4 (last)",
        "quantizer": "five levels",
    }
    assert f"{numbers['arms']['jpegdl']['answer']} " in capsys.readouterr().out
    assert {Path(path).name for path in files.values()} == set(files) == set(NAMES)
    described = re.findall(r"`([\w*-]+\.(?:png|jpg))`", section("Call it from a script"))
    assert all(fnmatch.filter(files, pattern) for pattern in described)
    assert np.shape(found["tables"]["learned"]) == (2, 8, 8)
    assert {facts["pair"] for facts in found["pairs"]} >= {"flowers102-authors-resnet18", "cifar100-resnet32"}
