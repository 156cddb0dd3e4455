"""How long a run will take, said before it begins, and how it goes, said while it runs."""

import random
import re
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from jpegdl.commands.progress import Progress, duration
from jpegdl.pairs.facts import Epoch
from jpegdl.pairs.recipe import Recipe
from jpegdl.training import loop, pace
from jpegdl.training.data import Batch, PreparedTensors, TrainingSet
from jpegdl.training.history import Moment
from jpegdl.training.pace import Outlook, Pace, measure_pace
from jpegdl.training.pair import Run, train_pair
from jpegdl.training.sources import Sources
from tests.test_recipes import generated
from tests.tiny import TINY, add_tiny, noise, noise_bytes

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)
    monkeypatch.setattr(pace, "_PATIENCE", 0.05)


def recipe(**changes: object) -> Recipe:
    facts: dict = {
        "name": "test", "dataset": "none", "architecture": TINY, "input_size": 16, "epochs": 3, "batch_size": 4,
        "learning_rate": 0.1, "weight_decay": 1e-4, "table_learning_rate": 0.05,
    }  # fmt: skip
    return Recipe(**(facts | changes))


def sources(seconds_a_picture: float = 0.0) -> Sources:
    """Pictures for which the batches take their time."""

    def batches(generator: torch.Generator) -> Iterator[Batch]:
        del generator
        for _ in range(3):
            time.sleep(4 * seconds_a_picture)
            yield Batch(noise(4, 16), torch.tensor([0, 1, 2, 0]), 4)

    tests = PreparedTensors(noise_bytes(6, 16), torch.tensor([0, 1, 2] * 2))
    return Sources(TrainingSet(batches, 3), tests, tests)


def measured(data: Sources, **changes: object) -> Pace:
    return measure_pace(recipe(**changes), generated(), data, CPU, torch.float32)


def test_an_epoch_takes_at_least_as_long_as_its_pictures_take_to_make():
    plain, slow = measured(sources()), measured(sources(0.05))
    for arm in ("baseline", "jpegdl"):
        assert 4 * 0.05 <= slow.epoch[arm] < 4 * 0.05 + 1  # generated() has four pictures to train on
        assert 0 < plain.epoch[arm] < slow.epoch[arm]
    assert plain.besides > 0


@pytest.mark.parametrize("place", ["input", "first relu"])
def test_a_network_that_sleeps_is_timed_by_its_sleep(monkeypatch, place):
    true_step = loop.train_step

    def slow(model, optimizers, batch: Batch, **settings) -> tuple[Tensor, Tensor]:
        time.sleep(0.02 * len(batch.inputs))
        return true_step(model, optimizers, batch, **settings)

    monkeypatch.setattr(pace, "train_step", slow)
    plan = {"place": place, "architecture": TINY if place == "input" else "resnet18"}
    found = measured(sources(), **plan, initial_tables="ones", bits=6)
    for arm in ("baseline", "jpegdl"):
        assert 4 * 0.02 <= found.epoch[arm] < 4 * 0.02 + 3


def test_timing_changes_no_random_state_and_no_result(tmp_path):
    def trained(announced: bool) -> tuple[list[Epoch], dict[str, Tensor]]:
        history: list[Epoch] = []
        heard: list[Outlook] = []
        run = Run(
            seeds=[3],
            device=CPU,
            report=lambda *record: history.append(record[2]),
            announce=heard.append if announced else None,
            precision=torch.float32,
        )
        pair = train_pair(recipe(), generated(), tmp_path / str(announced), run)
        assert len(heard) == announced
        return history, pair.jpegdl.state_dict()

    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = torch.random.get_rng_state()
    (silent, weights), (announced, others) = trained(False), trained(True)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [(e.loss, e.validation_accuracy, e.steps) for e in silent] == [
        (e.loss, e.validation_accuracy, e.steps) for e in announced
    ]
    assert all(torch.equal(weights[key], others[key]) for key in weights)


def test_what_is_left_of_a_continued_run_is_what_it_has_not_trained(tmp_path):
    def stop(seed: int, arm: str, epoch: Epoch) -> None:
        if (seed, arm, epoch.number) == (3, "jpegdl", 1):
            raise KeyboardInterrupt

    heard: list[Outlook] = []
    run = Run(seeds=[3, 4], device=CPU, report=stop, announce=heard.append, precision=torch.float32)
    with pytest.raises(KeyboardInterrupt):
        train_pair(recipe(), generated(), tmp_path / "pair", run)
    everything = {(seed, arm): 3 for seed in (3, 4) for arm in ("baseline", "jpegdl")}
    assert heard.pop().left == everything
    go_on = Run(seeds=[3, 4], device=CPU, report=lambda *_: None, announce=heard.append, precision=torch.float32)
    train_pair(recipe(), generated(), tmp_path / "pair", go_on)
    del everything[3, "baseline"]
    assert heard.pop().left == everything | {(3, "jpegdl"): 2}


# What is printed


def epoch(number: int, seconds: float) -> Epoch:
    return Epoch(
        number=number, loss=1.5, train_accuracy=0.25, validation_accuracy=0.5, seconds=seconds, precision="float32",
        steps=None,
    )  # fmt: skip


def lines(captured: str) -> list[str]:
    return [line for line in captured.splitlines() if line]


def test_the_time_left_counts_everything_that_is_still_to_be_trained_at_the_pace_of_the_last_epoch(capsys):
    progress = Progress(2, 100)
    progress.announce(Outlook(Pace({"baseline": 300.0, "jpegdl": 600.0}, 60.0), {(0, "baseline"): 2, (0, "jpegdl"): 2}))
    progress.moment(0, "baseline", Moment(epoch=1, done=0.5, seconds=150, loss=2.0, train_accuracy=0.1))
    progress.epoch(0, "baseline", epoch(1, 600))  # twice as slow as thought
    progress.epoch(0, "baseline", epoch(2, 300))
    said, inside, first, second = lines(capsys.readouterr().out)
    assert said == (
        "About 31 min on this device: 2 epochs of the baseline in 5 min each, 2 epochs with JPEG-DL in 10 min each."
    )
    assert "50.0% of epoch 1/2" in inside
    assert "0.3333 pictures/s" in inside
    assert inside.endswith("28 min left")  # 31 less the 2.5 that are spent
    assert first.endswith("0.1667 pictures/s  51 min left")  # 10 of the baseline, 2 x 20 of JPEG-DL, 1 besides
    assert second.endswith("0.3333 pictures/s  21 min left")
    assert "loss  1.500  train  25.0%  validation  50.0%" in first


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({(0, "jpegdl"): 3, (1, "jpegdl"): 1}, "About 20 min on this device: 4 epochs with JPEG-DL in 5 min each."),
        ({(0, "baseline"): 3}, "About 6 min on this device: 3 epochs of the baseline in 2 min each."),
        ({(0, "jpegdl"): 1}, "About 5 min on this device: 1 epoch with JPEG-DL in 5 min."),
        ({(0, "jpegdl"): 0}, "About 0 s on this device: only to count and to write."),
    ],
)
def test_only_what_is_still_to_be_trained_is_announced(left, said, capsys):
    Progress(3, 100).announce(Outlook(Pace({"baseline": 120.0, "jpegdl": 300.0}, 0.0), left))
    assert lines(capsys.readouterr().out) == [said]


def test_on_a_terminal_a_line_replaces_the_one_before_and_the_last_of_an_arm_stays(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    progress = Progress(2, 100)
    progress.moment(0, "baseline", Moment(epoch=1, done=0.5, seconds=150, loss=2.0, train_accuracy=0.1))
    progress.epoch(0, "baseline", epoch(1, 600))
    progress.epoch(0, "baseline", epoch(2, 300))
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.endswith("\n")
    assert printed.count("\r") == printed.count("\033[K") == 3


def test_epochs_that_an_earlier_process_trained_are_not_told_again(capsys):
    progress = Progress(3, 100)
    progress.announce(Outlook(Pace({"baseline": 1.0, "jpegdl": 1.0}, 0.0), {(0, "baseline"): 1, (0, "jpegdl"): 3}))
    for number in (1, 2, 3):
        progress.epoch(0, "baseline", epoch(number, 1))
    assert [re.findall(r"(\d)/3", line) for line in lines(capsys.readouterr().out)[1:]] == [["3"]]


def test_a_line_a_minute_is_printed_without_a_terminal_however_long_the_epoch(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(loop, "_WATCHED_EVERY", 0.0)
    progress = Progress(3, 4)
    run = Run(
        seeds=[0],
        device=CPU,
        report=progress.epoch,
        announce=progress.announce,
        watch=progress.moment,
        precision=torch.float32,
    )
    train_pair(recipe(), generated(), tmp_path / "pair", run)
    printed = lines(capsys.readouterr().out)
    assert printed[0].startswith("About ")
    assert len(printed) == 1 + 2 * 3 * 2  # for each epoch of both arms its one step, and its end
    assert all(line.endswith(" left") for line in printed[1:])


def test_work_between_the_epochs_is_told_of_at_most_once_a_minute(monkeypatch, tmp_path, capsys):
    progress, now = Progress(3, 4), [1000.0]
    monkeypatch.setattr("jpegdl.commands.progress.time.monotonic", lambda: now[0])
    progress.told = now[0]
    for done, second in ((64, 1030.0), (128, 1061.0), (192, 1090.0), (256, 1121.0)):
        now[0] = second
        progress.working("test pictures counted", done)
    assert lines(capsys.readouterr().out) == ["128 test pictures counted", "256 test pictures counted"]

    heard: list[tuple[str, int]] = []
    run = Run(
        seeds=[0],
        device=CPU,
        report=lambda *_: None,
        working=lambda *said: heard.append(said),
        precision=torch.float32,
    )
    train_pair(recipe(), generated(), tmp_path / "pair", run)
    assert heard == [
        ("pictures looked at for the first tables", 4),
        ("test pictures counted", 5),
        ("validation pictures counted", 3),
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"), (0.25, "0.25 s"), (8.04, "8 s"), (59, "59 s"), (99, "99 s"), (100, "2 min"), (5939, "99 min"),
        (6000, "1 h 40 min"), (11100, "3 h 05 min"), (160000, "44 h 27 min"), (172000, "2 d 0 h"), (360000, "4 d 4 h"),
    ],
)  # fmt: skip
def test_a_duration_is_said_as_people_say_it(seconds, said):
    assert duration(seconds) == said


# Provenance
