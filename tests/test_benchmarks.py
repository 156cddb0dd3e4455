"""The benchmarks that this machine cannot run to the end, as far as it can: their tables, and what they write."""

import re
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.cases import write_between
from benchmarks.training import Case, training_row, training_table
from jpegdl.pairs.checkpoints import load_pair
from tests.load.__main__ import COMMANDS
from tests.load.report import REPORT

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def columns(lines: list[str]) -> set[int]:
    return {line.count("|") for line in lines}


def test_a_training_row_tells_the_median_of_paired_ratios_and_no_throughput() -> None:
    # The machine doubles its speed between rounds: throughputs of medians would say that the layer makes a step faster.
    rounds = [[2.0, 2.2], [1.0, 1.08], [1.0, 1.1]]
    row = training_row(Case("resnet18", 224, 32, bar=0.05), "cpu", rounds)
    assert row == "| cpu | resnet18 | 32×3×224×224 | **+10.0% (missed 5%)** | +8.0% to +10.0% |"
    assert columns([*training_table(CPU, 1, (Case("resnet32", 32, 2),))]) == {6}


def test_the_text_between_two_marks_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.md"
    path.write_text("before\n<a>\nold\n<b>\nafter\n", encoding="utf-8")
    for _ in range(2):
        write_between(("<a>", "<b>"), ["new", "lines"], path)
    assert path.read_text(encoding="utf-8") == "before\n<a>\n\nnew\nlines\n<b>\nafter\n"


def test_without_a_gpu_its_benchmark_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", "--write", "nowhere.md"])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"^There is no GPU that torch can use here, so nothing was measured; [^.]*"):
        gpu.main()


def test_the_tables_for_a_gpu_can_be_made_on_any_device() -> None:
    assert columns(list(gpu.layer_table(CPU, 1, 1, [(1, 3, 16, 16)]))) == {7}
    assert columns(list(gpu.latency_table(CPU, 1, 1, 1, 32))) == {4}
    pair = load_pair(ROOT / "checkpoints" / "cifar100-resnet32")
    assert columns(list(gpu.comparison_table(pair, 1, CPU))) == {4}


def test_the_gpus_section_has_its_marks_and_says_that_nobody_ran_it_or_on_which_card() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (section,) = re.findall(f"{gpu.MARKS[0]}(.*){gpu.MARKS[1]}", text, re.DOTALL)
    assert "Nobody has run it" in section or "The test suite with pairs on the GPU" in section


def test_every_table_of_the_load_tool_has_its_place_in_the_document() -> None:
    text = REPORT.read_text(encoding="utf-8")
    for name in ("users-50", "users-200", *(command for command in COMMANDS if command != "users")):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        assert (text.count(begin), text.count(end)) == (1, 1), name
        assert text.index(begin) < text.index(end)
