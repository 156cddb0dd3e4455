"""reproduce: a table of the paper planned, trained, recorded, killed and continued, on generated pictures."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jpegdl.__main__ import main
from jpegdl.analysis.results.paper import PAPER
from jpegdl.commands import cells as cells_module
from jpegdl.commands import reproduce
from jpegdl.commands.cells import TABLES, Work, cells
from jpegdl.commands.jobs import Job, run_jobs
from jpegdl.pairs.card import card_from_json, card_to_json
from jpegdl.pairs.storage import alone_in
from jpegdl.training import pace
from jpegdl.training.data import Dataset
from jpegdl.training.readers import read_dataset
from jpegdl.training.settings import begin, work_folder

ROOT = Path(__file__).parents[1]
NAME = "pets-resnet18"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(pace, "_PATIENCE", 0.05)


def command(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jpegdl", *map(str, arguments)])
        return main()


def write_pets(folder: Path) -> None:
    """torchvision's layout with noise: 4 pictures of 2 classes to train on, 2 of each to test."""
    inner, draw = folder / "oxford-iiit-pet", np.random.default_rng(0)
    for part, count in (("trainval", 5), ("test", 2)):
        lines = []
        for index in range(count):
            for label, name in ((2, "great_dane"), (1, "Abyssinian")):
                lines.append(f"{name}_{part}{index} {label} 1 1")
                file = inner / "images" / f"{name}_{part}{index}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8)).save(file)
        (inner / "annotations").mkdir(exist_ok=True)
        (inner / "annotations" / f"{part}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def words(folder: Path, *more: object) -> list[object]:
    """The command for one cell, made small, with every file inside `folder`."""
    return [
        *("reproduce", "table2", "--only", NAME, "--data", folder / "data", "--seeds", 0, "--device", "cpu"),
        *("--epochs", 3, "--input-size", 32, "--threads", 1, "--runs", folder / "runs"),
        *("--records", folder / "records", "--checkpoints", folder / "none", "--results", folder / "results.md", *more),
    ]


def test_every_cell_of_the_paper_is_in_one_of_the_tables_and_has_a_recipe(tmp_path):
    found = [cell for table in TABLES for cell in cells(table, [], tmp_path)]
    assert [cell.recipe.name for cell in found] == sorted(PAPER, key=lambda name: TABLES.index(table_of(name)))
    assert all(cell.folder is None and cell.missing for cell in found)  # there is no data here


def table_of(name: str) -> str:
    return "table" + PAPER[name].table.split()[1].rstrip(",")


def test_a_cell_is_chosen_by_a_part_of_its_name_and_what_chooses_none_is_refused(tmp_path):
    names = [cell.recipe.name for cell in cells("table2", ["flowers102"], tmp_path)]
    assert names == [f"flowers102-authors-{net}" for net in ("resnet18", "densenet121", "preact_resnet18")]
    with pytest.raises(ValueError, match="no recipe of table2 holds cifar in its name; they are cub200-resnet18"):
        cells("table2", ["cifar"], tmp_path)


def test_the_plan_says_what_a_cell_takes_here_and_why_one_is_left_out_and_trains_nothing(tmp_path, capsys):
    write_pets(tmp_path / "data")
    arguments = words(tmp_path, "--plan")
    arguments[3] = "resnet18"  # of every data set
    assert command(*arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 9  # eight cells, and their sum
    timed = [line for line in printed if line.endswith((" s", " min")) and line.startswith("pets-")]
    assert [line.split()[0] for line in timed] == [NAME, "pets-preact_resnet18"]
    assert "  3 epochs,  32 px  paper 70.37" in timed[0]
    assert all("left out: " in line for line in printed if line.startswith(("cub200", "stanford", "flowers")))
    assert printed[-1].startswith("All that is left: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_killed_and_started_again_it_goes_on_where_it_stopped_records_and_writes_the_page(tmp_path, capfd, monkeypatch):
    write_pets(tmp_path / "data")
    (tmp_path / "none").mkdir()
    state = tmp_path / "runs" / f".{NAME}.training" / "seed0-baseline.state"
    begun = [sys.executable, "-m", "jpegdl", *map(str, words(tmp_path))]
    process = subprocess.Popen(begun, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)  # with the run that it started
    process.wait()
    assert state.exists()
    assert not (tmp_path / "records").exists()

    monkeypatch.chdir(ROOT)
    assert command(*words(tmp_path)) == 0
    (left,) = re.findall(r"on this device: (\d+) epochs", capfd.readouterr().out)
    assert 0 < int(left) < 6
    card = card_from_json((tmp_path / "records" / f"{NAME}-32px-3epochs.json").read_text(encoding="utf-8"))
    assert [len(epochs) for epochs in card.history.values()] == [3, 3]
    assert {part: counts.n for part, counts in card.results.items()} == {"test": 4, "validation": 2}
    assert "## pets-resnet18" in (tmp_path / "results.md").read_text(encoding="utf-8")

    assert command(*words(tmp_path)) == 0
    plan, total = capfd.readouterr().out.splitlines()
    assert plan.endswith("  done")
    assert total == "All that is left: 0 s on cpu, one after the other."


def test_only_the_seeds_that_neither_a_record_nor_a_pair_of_the_name_has_are_trained_and_counted(tmp_path, capfd):
    write_pets(tmp_path / "data")
    assert command(*words(tmp_path)) == 0
    (record,) = (tmp_path / "records").iterdir()
    seed = json.loads(record.read_text(encoding="utf-8"))

    shipped = tmp_path / "none" / NAME  # as a clone has it that ships this pair with seed 2
    shutil.copytree(tmp_path / "runs" / NAME, shipped)
    card = json.loads((shipped / "pair.json").read_text(encoding="utf-8"))
    (shipped / "pair.json").write_text(json.dumps(card | {"seed": 2}), encoding="utf-8")

    more = words(tmp_path, "--seeds", 0, 1, 2)  # which replaces the seed before it
    capfd.readouterr()
    assert command(*more, "--plan") == 0
    plan, _ = capfd.readouterr().out.splitlines()
    assert re.search(r" s for seed 1$", plan)
    assert command(*more) == 0
    printed = capfd.readouterr().out
    assert {line.split()[1] for line in printed.splitlines() if line.startswith("seed ")} == {"1"}
    found = card_from_json(record.read_text(encoding="utf-8"))
    assert found.seeds == (0, 1)
    assert {part: dataclasses.asdict(counts) for part, counts in found.results.items()} == seed["results"]
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {NAME} †? ?\|.* 2, 0, 1 \|", page, re.MULTILINE)
    assert command(*more) == 0
    assert "  done" in capfd.readouterr().out


def test_a_run_that_was_trained_and_not_recorded_is_recorded_without_training(tmp_path, capfd):
    write_pets(tmp_path / "data")
    (tmp_path / "none").mkdir()
    assert command(*words(tmp_path)) == 0
    shutil.rmtree(tmp_path / "records")
    capfd.readouterr()
    assert command(*words(tmp_path)) == 0
    printed = capfd.readouterr().out
    assert "  0 s\n" in printed
    assert "begins" not in printed
    assert (tmp_path / "records" / f"{NAME}-32px-3epochs.json").exists()


def test_a_record_and_a_pair_of_another_run_are_named_before_anything_is_trained(tmp_path, capsys):
    write_pets(tmp_path / "data")
    card = card_from_json(next((ROOT / "docs/results").glob("*.json")).read_text(encoding="utf-8"))
    (tmp_path / "records").mkdir()
    record = tmp_path / "records" / f"{NAME}-32px-3epochs.json"
    record.write_text(card_to_json(card), encoding="utf-8")
    assert command(*words(tmp_path)) == 2
    assert f"{record.name} holds a run with another name, " in capsys.readouterr().err
    record.write_text("half of a", encoding="utf-8")
    assert command(*words(tmp_path)) == 2
    assert f"{record.name} cannot be read as a card" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "records"]


def test_a_cell_begun_with_other_settings_is_named_by_the_plan(tmp_path, capsys):
    write_pets(tmp_path / "data")
    (cell,) = cells("table2", [NAME], tmp_path / "data")
    begun = work_folder(tmp_path / "runs" / NAME)
    begin(begun, cell.recipe, read_dataset("pets", tmp_path / "data"))  # of 224 px and 200 epochs
    assert command(*words(tmp_path, "--plan")) == 2
    assert f"{begun} holds a run with another input_size, epochs" in capsys.readouterr().err


def test_a_cell_that_cannot_be_recorded_does_not_end_the_others(tmp_path, capfd, monkeypatch):
    """The page's folder is made; where that is impossible, the next cell is trained all the same."""
    write_pets(tmp_path / "data")
    (tmp_path / "file").touch()
    both = words(tmp_path, "--results", tmp_path / "file" / "results.md")
    both[3:4] = [NAME, "pets-preact_resnet18"]
    assert command(*both) == 2
    said = capfd.readouterr().err
    for name in (NAME, "pets-preact_resnet18"):
        assert f"{name} is recorded, but not on the page, which `python -m jpegdl results` writes: " in said
    assert said.splitlines()[-1].startswith(f"error: {NAME}, pets-preact_resnet18 failed")
    assert len(list((tmp_path / "records").iterdir())) == 2
    page = tmp_path / "new" / "results.md"
    assert command("results", "--checkpoints", tmp_path, "--records", tmp_path / "records", "--out", page) == 0
    assert "## pets-preact_resnet18" in page.read_text(encoding="utf-8")


def test_the_plan_counts_what_making_a_batch_takes_whatever_its_size(tmp_path, monkeypatch):
    write_pets(tmp_path / "data")
    (cell,) = cells("table2", [NAME], tmp_path / "data")
    asked: list[int] = []

    def sampled(dataset: Dataset, count: int) -> Dataset:
        asked.append(count)
        return dataset

    monkeypatch.setattr(cells_module, "_sample", sampled)
    for size in (8, 32, 64, 256):
        plan = dataclasses.replace(cell.recipe, batch_size=size, input_size=32)
        cells_module.work(plan, tmp_path / "data", [0], torch.device("cpu"), torch.float32)
    assert asked == [64, 64, 128, 512]


# Several runs on one device


def job(name: str, seconds: float = 0.1, memory: int = 1, status: int = 0, log: Path | None = None) -> Job:
    program = f"import sys, time; print('{name}'); sys.stdout.flush(); time.sleep({seconds}); sys.exit({status})"
    return Job(name, (sys.executable, "-c", program), memory, log)


def most_at_once(jobs: list[Job], **limits: int) -> tuple[int, int, list[tuple[str, int]]]:
    """Most jobs and most memory in use at a time, and how each ended, in their order."""
    running: list[Job] = []
    peaks: list[tuple[int, int]] = []

    def began(started: Job) -> None:
        running.append(started)
        peaks.append((len(running), sum(item.memory for item in running)))

    ended = []
    with open(os.devnull, "rb") as held:
        for done, status in run_jobs(jobs, held=held.fileno(), started=began, **limits):
            running.remove(done)
            ended.append((done.name, status))
    return max(count for count, _ in peaks), max(memory for _, memory in peaks), sorted(ended)


def test_runs_share_a_device_within_its_memory_and_their_number_and_each_says_how_it_ended(tmp_path):
    jobs = [job(str(n), memory=n, status=n % 2, log=tmp_path / f"{n}.log") for n in (1, 2, 3, 4)]
    ended = [(str(n), n % 2) for n in (1, 2, 3, 4)]
    for memory, at_once, most in ((100, 2, 2), (5, 4, 2), (0, 4, 1)):
        count, used, results = most_at_once(jobs, memory=memory, at_once=at_once)
        assert results == ended
        assert count <= most
        assert used <= max(memory, 4)  # one alone may be larger
    assert (tmp_path / "3.log").read_text(encoding="utf-8") == "3\n" * 3


def test_who_stops_asking_leaves_no_program_behind(tmp_path):
    with open(os.devnull, "rb") as held:
        jobs = [job("short", 0.0, log=tmp_path / "log"), job("long", 600, log=tmp_path / "log")]
        running = run_jobs(jobs, memory=9, at_once=2, held=held.fileno(), started=lambda _: None)
        assert next(running)[0].name == "short"
        started = time.monotonic()
        running.close()
    assert time.monotonic() - started < 60


def test_two_at_a_time_in_one_folder_are_refused(tmp_path, capsys, monkeypatch):
    write_pets(tmp_path / "data")
    monkeypatch.setattr(reproduce, "work", lambda *_: Work((0,), 1.0, 0))
    (tmp_path / "runs").mkdir()
    with alone_in(tmp_path / "runs"):
        assert command(*words(tmp_path)) == 2
    assert "another run still trains in" in capsys.readouterr().err
