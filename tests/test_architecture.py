"""Who may import whom, read from the source with `ast`: the promises of docs/architecture.md."""

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A room may import itself and what stands here.
ROOMS: dict[str, tuple[str, ...]] = {
    "codec": (),
    "pairs": ("jpegdl.codec",),
    "analysis": ("jpegdl.codec", "jpegdl.pairs"),
    "training": ("jpegdl.codec", "jpegdl.pairs"),
    "server": ("jpegdl.codec.segments", "jpegdl.pairs"),
    "ui": ("jpegdl.codec", "jpegdl.pairs", "jpegdl.analysis", "jpegdl.server"),
    "commands": ("jpegdl.codec", "jpegdl.pairs", "jpegdl.analysis", "jpegdl.training"),
}
ONLY_IN: dict[str, tuple[str, ...]] = {
    "gradio": ("app.py", "jpegdl/server/", "jpegdl/ui/"),
    "pytorch_grad_cam": ("jpegdl/analysis/explain.py",),
    "matplotlib": ("jpegdl/analysis/figures.py",),
    "argparse": ("app.py", "jpegdl/__main__.py", "jpegdl/commands/"),
    "art": ("jpegdl/analysis/attacks.py",),
    "timm": ("jpegdl/pairs/networks/", "jpegdl/training/folders.py"),
}
VAGUE_NAMES = ("utils", "util", "helpers", "helper", "common", "misc")


@dataclass(frozen=True)
class Module:
    """One source file; `path` is relative to the repository root, with forward slashes."""

    path: str
    source: str

    @property
    def room(self) -> str | None:
        """The folder directly under jpegdl/, None for app.py and the modules of jpegdl/ itself."""
        parts = self.path.split("/")
        return parts[1] if len(parts) > 2 else None

    @property
    def package(self) -> str:
        """Dotted name of the folder, from which relative imports count."""
        return ".".join(self.path.split("/")[:-1])

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.source, self.path)))

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 0)} {what}"


def repository_modules() -> list[Module]:
    paths = [*ROOT.glob("app.py"), *sorted((ROOT / "jpegdl").rglob("*.py"))]
    return [Module(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8")) for p in paths]


def benchmark_modules() -> list[Module]:
    paths = sorted((ROOT / "benchmarks").glob("*.py"))
    return [Module(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8")) for p in paths]


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Every imported dotted name, wherever it stands in the file, relative ones made absolute.

    `from a import b` gives `a.b`, since b may be a module.
    """
    for node in module.nodes:
        match node:
            case ast.Import(names=names):
                yield from ((node, alias.name) for alias in names)
            case ast.ImportFrom(module=name, names=names, level=level):
                parents = module.package.split(".")[: -(level - 1) or None] if level else []
                base = ".".join([*parents, *([name] if name else [])])
                yield from ((node, f"{base}.{alias.name}") for alias in names)
            case ast.Call(func=ast.Name("__import__" | "import_module"), args=[ast.Constant(str(name)), *_]):
                yield node, name
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(str(name)), *_]):
                yield node, name


def is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def forbidden_room_imports(modules: Sequence[Module], room: str) -> list[str]:
    allowed = (f"jpegdl.{room}", *ROOMS[room])
    return [
        module.at(node, f"imports {name}")
        for module in modules
        if module.room == room
        for node, name in imports(module)
        if is_inside(name, "jpegdl") and not any(is_inside(name, other) for other in allowed)
    ]


def imports_report_text(modules: Sequence[Module]) -> list[str]:
    """Imports of the report's text by what is computed about a pair."""
    return [
        module.at(node, f"imports {name}")
        for module in modules
        if module.room == "analysis" and not module.path.startswith("jpegdl/analysis/results/")
        for node, name in imports(module)
        if is_inside(name, "jpegdl.analysis.results")
    ]


def forbidden_app_imports(modules: Sequence[Module]) -> list[str]:
    allowed = ("jpegdl.ui", "jpegdl.server", "jpegdl.pairs", "jpegdl.analysis", "jpegdl.training.draws")
    return [
        module.at(node, f"imports {name}")
        for module in modules
        if module.path == "app.py"
        for node, name in imports(module)
        if is_inside(name, "jpegdl") and not any(is_inside(name, other) for other in allowed)
    ]


def app_libraries(modules: Sequence[Module]) -> list[str]:
    allowed = {*sys.stdlib_module_names, "gradio", "jpegdl", "spaces", "torch"}
    return [
        module.at(node, f"imports {name}")
        for module in modules
        if module.path == "app.py"
        for node, name in imports(module)
        if name.split(".")[0] not in allowed
    ]


def imports_outside_their_place(modules: Sequence[Module], library: str) -> list[str]:
    return [
        module.at(node, f"imports {name}")
        for module in modules
        if not module.path.startswith(ONLY_IN[library])
        for node, name in imports(module)
        if is_inside(name, library)
    ]


def looks_into_networks(modules: Sequence[Module]) -> list[str]:
    """What the page does with networks themselves; their tensors are stand-ins on ZeroGPU outside a GPU call."""
    page = [module for module in modules if module.room == "ui"]
    return [
        module.at(node, f"imports {name}")
        for module in page
        for node, name in imports(module)
        if is_inside(name, "torch")
    ] + [
        module.at(node, f"looks into .{node.attr}")
        for module in page
        for node in module.nodes
        if isinstance(node, ast.Attribute) and node.attr in ("codec", "backbone", "parameters", "state_dict")
    ]


def imports_by_variable(modules: Sequence[Module]) -> list[str]:
    """Calls of import_module whose name is not written there, so that no other rule would see it."""
    return [
        module.at(node, "imports by a variable")
        for module in modules
        for node in module.nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) in ("import_module", "__import__")
        and not (node.args and isinstance(node.args[0], ast.Constant))
    ]


def prints(modules: Sequence[Module]) -> list[str]:
    return [
        module.at(node, "prints")
        for module in modules
        if not module.path.startswith(ONLY_IN["argparse"])
        for node in module.nodes
        if isinstance(node, ast.Name) and node.id == "print"
    ]


def vague_module_names(modules: Sequence[Module]) -> list[str]:
    return [
        module.path
        for module in modules
        if any(part.removesuffix(".py").strip("_") in VAGUE_NAMES for part in module.path.split("/"))
    ]


def unsafe_torch_loads(modules: Sequence[Module]) -> list[str]:
    """Uses of torch.load other than a call with the literal weights_only=True."""
    found = []
    for module in modules:
        names = {"torch"}  # what the file calls torch
        for node in module.nodes:
            if isinstance(node, ast.Import):
                names |= {alias.asname for alias in node.names if alias.name == "torch" and alias.asname}
        safe = {
            node.func
            for node in module.nodes
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == "weights_only" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        }
        for node in module.nodes:
            match node:
                case ast.Attribute(value=ast.Name(name), attr="load") if name in names and node not in safe:
                    found.append(module.at(node, "torch.load without weights_only=True"))
                case ast.ImportFrom(module="torch" | "torch.serialization", names=aliases) if any(
                    alias.name == "load" for alias in aliases
                ):
                    found.append(module.at(node, "hides torch.load behind the name load"))
    return found


def text_without_encoding(modules: Sequence[Module]) -> list[str]:
    """Files read or written as text in whatever encoding the machine has: on some, not UTF-8."""
    found = []
    for module in modules:
        for node in module.nodes:
            if not isinstance(node, ast.Call) or any(keyword.arg in ("encoding", None) for keyword in node.keywords):
                continue
            match node:
                case ast.Call(func=ast.Attribute(attr="read_text"), args=[]):
                    found.append(module.at(node, "reads text without encoding"))
                case ast.Call(func=ast.Attribute(attr="write_text"), args=[_]):
                    found.append(module.at(node, "writes text without encoding"))
                case (
                    ast.Call(func=ast.Name("open"), args=[_, *modes])
                    | ast.Call(func=ast.Attribute(value=ast.Name(), attr="open"), args=[*modes])
                ) if opens_text(node, modes):
                    found.append(module.at(node, "opens text without encoding"))
    return found


def opens_text(call: ast.Call, modes: Sequence[ast.expr]) -> bool:
    """Whether open(...) or path.open(...) has a text mode; other libraries' `open` are no files of text."""
    match call.func:
        case ast.Attribute(value=ast.Name("Image" | "os" | "tarfile" | "zipfile" | "gzip")):
            return False
    given = [*modes, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in given)


def asserts(modules: Sequence[Module]) -> list[str]:
    return [
        module.at(node, "asserts")
        for module in modules
        if module.path.startswith("jpegdl/")
        for node in module.nodes
        if isinstance(node, ast.Assert)
    ]


# --- the repository ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return repository_modules()


def test_the_checker_reads_app_and_exactly_the_known_rooms(modules: list[Module]) -> None:
    assert "app.py" in {module.path for module in modules}
    assert {module.room for module in modules} - {None} == set(ROOMS)


def test_codec_imports_no_other_room(modules: list[Module]) -> None:
    assert forbidden_room_imports(modules, "codec") == []


def test_pairs_imports_only_codec(modules: list[Module]) -> None:
    assert forbidden_room_imports(modules, "pairs") == []


def test_analysis_imports_only_pairs_and_codec(modules: list[Module]) -> None:
    assert forbidden_room_imports(modules, "analysis") == []


def test_what_is_computed_about_a_pair_does_not_import_the_reports_text(modules: list[Module]) -> None:
    assert imports_report_text(modules) == []


def test_training_imports_only_pairs_and_codec(modules: list[Module]) -> None:
    assert forbidden_room_imports(modules, "training") == []


def test_server_imports_only_pairs(modules: list[Module]) -> None:
    assert forbidden_room_imports(modules, "server") == []


def test_ui_imports_only_server_analysis_pairs_and_codec(modules: list[Module]) -> None:
    assert forbidden_room_imports(modules, "ui") == []


def test_commands_import_any_room_but_the_page(modules: list[Module]) -> None:
    assert forbidden_room_imports(modules, "commands") == []


def test_the_page_touches_no_tensor_of_a_network(modules: list[Module]) -> None:
    assert looks_into_networks(modules) == []


def test_app_imports_only_what_it_joins_together(modules: list[Module]) -> None:
    assert forbidden_app_imports(modules) == []


def test_app_imports_no_library_but_spaces_torch_and_gradio(modules: list[Module]) -> None:
    assert app_libraries(modules) == []


def test_gradio_is_imported_only_in_server_ui_and_app(modules: list[Module]) -> None:
    assert imports_outside_their_place(modules, "gradio") == []


def test_pytorch_grad_cam_is_imported_only_in_explain(modules: list[Module]) -> None:
    assert imports_outside_their_place(modules, "pytorch_grad_cam") == []


def test_matplotlib_is_imported_only_in_figures(modules: list[Module]) -> None:
    assert imports_outside_their_place(modules, "matplotlib") == []


def test_argparse_is_imported_only_in_commands_main_and_app(modules: list[Module]) -> None:
    assert imports_outside_their_place(modules, "argparse") == []


def test_art_is_imported_only_in_attacks(modules: list[Module]) -> None:
    assert imports_outside_their_place(modules, "art") == []


def test_timm_is_imported_only_for_networks_and_for_the_names_of_imagenets_classes(modules: list[Module]) -> None:
    assert imports_outside_their_place(modules, "timm") == []


def test_every_import_names_its_module(modules: list[Module]) -> None:
    assert imports_by_variable(modules) == []


def test_only_commands_main_and_app_print(modules: list[Module]) -> None:
    assert prints(modules) == []


def test_no_module_has_a_vague_name(modules: list[Module]) -> None:
    assert vague_module_names(modules) == []


def test_text_files_are_read_and_written_as_utf_8_everywhere(modules: list[Module]) -> None:
    assert text_without_encoding([*modules, *benchmark_modules()]) == []


def test_torch_load_is_always_weights_only(modules: list[Module]) -> None:
    assert unsafe_torch_loads(modules) == []


def test_the_package_has_no_assert_statement(modules: list[Module]) -> None:
    assert asserts(modules) == []


# --- the checker itself: each rule must be able to fail ---------------------------------------------

Rule = Callable[[Sequence[Module]], list[str]]


def room(name: str) -> Rule:
    return lambda modules: forbidden_room_imports(modules, name)


def library(name: str) -> Rule:
    return lambda modules: imports_outside_their_place(modules, name)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (room("codec"), "jpegdl/codec/dct.py", "from jpegdl.pairs import classifier"),
        (room("codec"), "jpegdl/codec/dct.py", "from jpegdl import pairs"),
        (room("codec"), "jpegdl/codec/dct.py", "from ..pairs.classifier import Classifier"),
        (room("codec"), "jpegdl/codec/dct.py", "from .. import pairs"),
        (room("codec"), "jpegdl/codec/deep/dct.py", "from ...pairs import classifier"),
        (room("codec"), "jpegdl/codec/dct.py", "def f():\n    import jpegdl.pairs.classifier"),
        (room("codec"), "jpegdl/codec/dct.py", "import importlib\nimportlib.import_module('jpegdl.pairs')"),
        (room("codec"), "jpegdl/codec/dct.py", "import jpegdl"),
        (room("pairs"), "jpegdl/pairs/__init__.py", "from jpegdl.analysis import explain"),
        (room("analysis"), "jpegdl/analysis/explain.py", "import jpegdl.training.data"),
        (room("training"), "jpegdl/training/loop.py", "from jpegdl.analysis import attacks"),
        (room("training"), "jpegdl/training/loop.py", "from jpegdl.analysis.evaluation import logits"),
        (room("server"), "jpegdl/server/serving.py", "from jpegdl.ui import page"),
        (room("server"), "jpegdl/server/uploads.py", "from jpegdl.analysis import figures"),
        (room("ui"), "jpegdl/ui/compare.py", "from jpegdl.training.data import prepare"),
        (imports_report_text, "jpegdl/analysis/grid.py", "from jpegdl.analysis.results.grid import read_grid"),
        (imports_report_text, "jpegdl/analysis/grid.py", "from jpegdl.analysis import results"),
        (forbidden_app_imports, "app.py", "from jpegdl.codec import layer"),
        (app_libraries, "app.py", "import numpy as np"),
        (library("gradio"), "jpegdl/pairs/checkpoints.py", "import gradio as gr"),
        (room("commands"), "jpegdl/commands/train.py", "from jpegdl.ui import page"),
        (library("gradio"), "jpegdl/__main__.py", "from gradio.themes import Soft"),
        (library("pytorch_grad_cam"), "jpegdl/ui/compare.py", "from pytorch_grad_cam import GradCAM"),
        (library("matplotlib"), "jpegdl/analysis/explain.py", "import matplotlib.pyplot as plt"),
        (library("argparse"), "jpegdl/training/loop.py", "import argparse"),
        (library("art"), "jpegdl/analysis/robustness.py", "from importlib import import_module\nimport_module('art')"),
        (library("art"), "jpegdl/analysis/suites.py", "from art.attacks.evasion import SquareAttack"),
        (library("timm"), "jpegdl/pairs/weights.py", "def f():\n    import timm"),
        (looks_into_networks, "jpegdl/ui/tables.py", "import torch"),
        (looks_into_networks, "jpegdl/ui/tables.py", "steps = pair.codec.steps"),
        (imports_by_variable, "jpegdl/ui/page.py", "import importlib\nimportlib.import_module(name)"),
        (imports_by_variable, "jpegdl/ui/page.py", "__import__('a' + 'rt')"),
        (prints, "jpegdl/training/loop.py", "print('epoch 1')"),
        (vague_module_names, "jpegdl/codec/utils.py", ""),
        (vague_module_names, "jpegdl/common/dct.py", ""),
        (unsafe_torch_loads, "jpegdl/training/loop.py", "import torch\ntorch.load('a.pt')"),
        (unsafe_torch_loads, "jpegdl/training/loop.py", "import torch as t\nt.load('a', weights_only=False)"),
        (unsafe_torch_loads, "jpegdl/training/loop.py", "import torch\nread = torch.load"),
        (unsafe_torch_loads, "jpegdl/training/loop.py", "from torch import load"),
        (asserts, "jpegdl/codec/dct.py", "assert True"),
        (text_without_encoding, "jpegdl/pairs/card.py", "path.read_text()"),
        (text_without_encoding, "jpegdl/pairs/card.py", "Path(name).write_text(text)"),
        (text_without_encoding, "jpegdl/pairs/card.py", "open(path)"),
        (text_without_encoding, "jpegdl/pairs/card.py", "open(path, 'w')"),
        (text_without_encoding, "jpegdl/pairs/card.py", "path.open(mode='a')"),
    ],
)
def test_each_rule_reports_a_violation(rule: Rule, path: str, source: str) -> None:
    assert [message.split(":")[0] for message in rule([Module(path, source)])] == [path]


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (room("codec"), "jpegdl/codec/layer.py", "from jpegdl.codec import dct\nfrom .dct import block_dct"),
        (
            room("pairs"),
            "jpegdl/pairs/classifier.py",
            "import torch\nfrom jpegdl.codec.layer import JPEGLayer",
        ),
        (room("training"), "jpegdl/training/loop.py", "from jpegdl.pairs.evaluate import logits"),
        (
            imports_report_text,
            "jpegdl/analysis/results/report.py",
            "from jpegdl.analysis.results.grid import read_grid",
        ),
        (imports_report_text, "jpegdl/analysis/results/grid.py", "from jpegdl.analysis.grid import Grid"),
        (
            forbidden_app_imports,
            "app.py",
            "from jpegdl.ui import build_demo\nimport jpegdl.pairs.checkpoints",
        ),
        (app_libraries, "app.py", "import os\nimport spaces\nimport torch\nimport gradio as gr"),
        (library("gradio"), "jpegdl/ui/compare.py", "import gradio as gr"),
        (library("gradio"), "jpegdl/server/serving.py", "import gradio as gr"),
        (library("gradio"), "jpegdl/pairs/checkpoints.py", "import gradio_like"),
        (library("art"), "jpegdl/analysis/attacks.py", "from importlib import import_module\nimport_module('art')"),
        (library("timm"), "jpegdl/pairs/networks/library.py", "def f():\n    import timm"),
        (
            imports_by_variable,
            "jpegdl/analysis/attacks.py",
            "from importlib import import_module\nimport_module('art')",
        ),
        (prints, "jpegdl/__main__.py", "print('done')"),
        (prints, "jpegdl/commands/train.py", "print('done')"),
        (unsafe_torch_loads, "jpegdl/training/loop.py", "import torch\ntorch.load('a', weights_only=True)"),
        (unsafe_torch_loads, "jpegdl/pairs/prepare.py", "image.load()"),
        (text_without_encoding, "jpegdl/pairs/card.py", "path.read_text(encoding='utf-8')\npath.read_bytes()"),
        (text_without_encoding, "jpegdl/pairs/card.py", "open(path, 'rb')\npath.open('wb')\nImage.open(path)"),
    ],
)
def test_no_rule_reports_what_is_allowed(rule: Rule, path: str, source: str) -> None:
    assert rule([Module(path, source)]) == []
