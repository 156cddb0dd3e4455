"""The layer as a library: its wheel, its public names, and README's snippet where nothing else of this is installed."""

import ast
import importlib.metadata
import json
import shutil
import subprocess
import sys
import textwrap
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import jpegdl
from jpegdl import library

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_public_name_is_there_and_is_what_the_rooms_call_it() -> None:
    assert jpegdl.__all__ == library.__all__ == sorted(library.__all__, key=lambda name: (not name.isupper(), name))
    for name in jpegdl.__all__:
        assert getattr(jpegdl, name) is getattr(library, name)
    assert set(jpegdl.__all__) <= set(dir(jpegdl))


def test_what_type_checkers_see_are_the_public_names() -> None:
    tree = ast.parse((ROOT / "jpegdl" / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported - {"TYPE_CHECKING", "Any"} == set(jpegdl.__all__)


def test_another_name_is_an_attribute_error_that_lists_the_public_ones() -> None:
    with pytest.raises(AttributeError, match="no attribute 'JpegLayer'; public are QUANTIZERS, FeatureJPEGLayer"):
        jpegdl.JpegLayer  # noqa: B018


def test_the_layer_needs_torch_and_numpy_and_the_extras_name_what_the_app_pins() -> None:
    assert PROJECT["dependencies"] == ["numpy", "torch"]
    extras = {r.split("[")[0] for extra in PROJECT["optional-dependencies"].values() for r in extra} - {"jpegdl"}
    pinned = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").split()}
    assert extras | {"numpy", "torch"} == pinned


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, without the network, by what is installed here."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "jpegdl", copy / "jpegdl", ignore=shutil.ignore_patterns("__pycache__"))
    build = f"import setuptools.build_meta as backend; backend.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, timeout=120)
    (found,) = out.glob("jpegdl-*.whl")
    return found


def test_the_wheel_holds_the_kernels_source_the_types_mark_and_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "jpegdl").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"jpegdl/py.typed", "jpegdl/codec/kernel.cpp"} <= held
    assert held == files


def requirements_of(*names: str) -> set[str]:
    """Installed distributions that these need, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        found.add(name)
        wanted = (Requirement(line) for line in needs)
        waiting += [r.name for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Folders for sys.path: the unpacked wheel, and torch and numpy with what they need, and nothing else."""
    packages, installed = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(installed)
    for name in requirements_of("torch", "numpy"):
        distribution = importlib.metadata.distribution(name)
        record = distribution.read_text("RECORD") or ""  # thousands of paths, so not by importlib.metadata.files
        for top in {line.split(",")[0].split("/")[0] for line in record.splitlines()} - {".."}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    return [str(installed), str(packages)]


def run(code: str, folders: list[str], folder: Path) -> str:
    """What `code` prints in a Python that sees `folders` and the standard library only."""
    script = f"import sys\nsys.path[:0] = {folders!r}\n{textwrap.dedent(code)}"
    command = [sys.executable, "-I", "-S", "-c", script]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


YOURS = """
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
classifier = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 5, stride=3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
    torch.nn.Linear(8, 4),
)
before = classifier[0].weight.clone()
loader = [(torch.rand(5, 3, 24, 40), torch.randint(4, (5,))) for _ in range(3)]
"""
AFTERWARDS = """
moved = (model[0].steps - tables).abs()
print(bool((moved > 0).float().mean() > 0.9), bool((classifier[0].weight != before).any()), "PIL" in sys.modules)
"""


def test_readmes_snippet_trains_any_classifier_where_only_torch_and_numpy_are(bare: list[str], tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippet = readme.split("<!-- library -->")[1].split("<!-- /library -->")[0].strip().removeprefix("```python")
    assert run(YOURS + snippet.removesuffix("```") + AFTERWARDS, bare, tmp_path).split() == ["True", "True", "False"]


def test_importing_the_layer_takes_a_third_of_a_second_beside_torch_and_loads_nothing_of_the_apps(
    tmp_path: Path,
) -> None:
    code = """
        import time
        import numpy, torch
        before, started = set(sys.modules), time.process_time()
        import jpegdl
        assert "jpegdl.library" not in sys.modules  # the page prepares before torch is imported
        jpegdl.JPEGLayer, jpegdl.sensitivity, jpegdl.encode_jpeg
        import json
        seconds = time.process_time() - started
        print(json.dumps([seconds, sorted({name.split(".")[0] for name in set(sys.modules) - before})]))
    """
    folders = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]  # all that is installed
    seconds, loaded = json.loads(run(code, folders, tmp_path))
    assert seconds < 0.3
    assert set(loaded) <= {"jpegdl", "numpy", *sys.stdlib_module_names}
