"""Unfinished runs: what a kill, a damaged file, other settings or another machine make of them."""

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jpegdl.analysis.results.limits import limits
from jpegdl.analysis.results.runs import gather
from jpegdl.pairs.arms import load_arm
from jpegdl.pairs.checkpoints import load_pair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.evaluate import logits
from jpegdl.pairs.facts import Epoch
from jpegdl.pairs.recipe import Recipe
from jpegdl.pairs.storage import alone_in
from jpegdl.training import pair as pair_module
from jpegdl.training import settings
from jpegdl.training.data import Dataset, Examples
from jpegdl.training.packing import pack, unpack
from jpegdl.training.pair import Run, train_pair
from jpegdl.training.provenance import code_version
from jpegdl.training.state import previous
from tests.test_recipes import generated
from tests.tiny import add_tiny, recipe

CPU = torch.device("cpu")
PLAN = recipe(epochs=3, initial_tables="standard")


class Killed(BaseException):
    """As SIGKILL: nothing that the program does after it."""


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)


def train(
    out: Path,
    *,
    plan: Recipe = PLAN,
    dataset: Dataset | None = None,
    stop: tuple[Arm, int] | None = None,
    seeds: tuple[int, ...] = (0,),
    **run: Any,
) -> list[tuple[int, Arm, int]]:
    """-> the epochs that were reported: seed, arm, number; killed after the epoch `stop`."""
    reported = []

    def report(seed: int, arm: Arm, epoch: Epoch) -> None:
        reported.append((seed, arm, epoch.number))
        if stop == (arm, epoch.number):
            raise Killed

    facts: dict[str, Any] = {"seeds": seeds, "device": CPU, "report": report, "precision": torch.float32} | run
    try:
        train_pair(plan, dataset or generated(), out, Run(**facts))
    except Killed:
        if stop is None:
            raise
    return reported


def state_of(out: Path, arm: Arm) -> Path:
    return settings.state_file(settings.work_folder(out), 0, arm)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The pair that an undisturbed run makes."""
    out = tmp_path_factory.mktemp("whole") / "pair"
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        train(out)
    return out


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Path:
    """Out of a run that was killed in its second arm, after two epochs."""
    out = tmp_path_factory.mktemp("interrupted") / "pair"
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        train(out, stop=("jpegdl", 2))
    return out


def copied(out: Path, to: Path) -> Path:
    shutil.copytree(out.parent, to, dirs_exist_ok=True)
    return to / out.name


def same_weights(first: Path, second: Path) -> bool:
    return all(
        (first / f"{arm}.safetensors").read_bytes() == (second / f"{arm}.safetensors").read_bytes() for arm in ARMS
    )


# Kills


def test_a_run_is_not_trained_by_two_programs_at_a_time(interrupted, tmp_path):
    out = copied(interrupted, tmp_path)
    with alone_in(settings.work_folder(out)):
        with pytest.raises(ValueError, match=r"another program trains in .*\.pair\.training; wait for it, or stop it"):
            train(out)
        assert state_of(out, "jpegdl").exists()
    train(out)
    assert load_pair(out).card.recipe == PLAN


def test_a_run_that_is_killed_while_measuring_is_measured_before_it_is_published(whole, tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pair_module, "count", killed)
        train(tmp_path / "pair", stop=("baseline", 99))
    assert not (tmp_path / "pair").exists()
    assert not settings.seed_folder(settings.work_folder(tmp_path / "pair"), 0).exists()
    assert train(tmp_path / "pair") == []  # nothing is trained again
    assert load_pair(tmp_path / "pair").card.results == load_pair(whole).card.results
    assert same_weights(whole, tmp_path / "pair")


def test_a_damaged_test_picture_leaves_finished_arms_and_no_pair(tmp_path):
    dataset = generated()
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no picture")
    broken = dataclasses.replace(dataset, test=Examples((*dataset.test.pictures[:-1], damaged), dataset.test.labels))
    with pytest.raises(ValueError, match=r"damaged\.jpg"):
        train(tmp_path / "pair", dataset=broken)
    assert not (tmp_path / "pair").exists()
    assert train(tmp_path / "pair", dataset=dataset) == []
    assert load_pair(tmp_path / "pair").card.results["test"].n == len(dataset.test)


def test_a_finished_arm_stays_and_an_unfinished_one_goes_on_to_the_same_weights(whole, interrupted, tmp_path):
    out = copied(interrupted, tmp_path)
    assert train(out) == [(0, "jpegdl", number) for number in (1, 2, 3)]
    assert same_weights(whole, out)
    assert [path.name for path in tmp_path.iterdir()] == ["pair"]


# Damaged files

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "zeros inside": lambda data: data[:2000] + bytes(500) + data[2500:],
    "one bit": lambda data: data[:-9000] + bytes([data[-9000] ^ 1]) + data[-8999:],
    "another pickle": lambda data: b"\x80\x04]\x94(K\x01K\x02e.",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_costs_one_epoch_and_two_of_them_are_named_with_the_remedy(
    damage, whole, interrupted, tmp_path
):
    out = copied(interrupted, tmp_path)
    state = state_of(out, "jpegdl")
    data = state.read_bytes()
    state.write_bytes(DAMAGES[damage](data))
    before = previous(state).read_bytes()
    previous(state).write_bytes(DAMAGES[damage](before))
    with pytest.raises(ValueError, match="cannot be read; remove it to train this arm again") as refusal:
        train(out)
    assert state.name in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert settings.arm_folder(settings.work_folder(out), 0, "baseline").is_dir()
    previous(state).write_bytes(before)
    assert train(out) == [(0, "jpegdl", number) for number in (1, 2, 3)]
    assert same_weights(whole, out)


def test_a_kill_while_a_state_is_written_leaves_the_one_before_it(whole, interrupted, tmp_path, monkeypatch):
    for step in range(4):
        out = copied(interrupted, tmp_path / str(step))
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            with pytest.raises(Killed):
                train(out)
        train(out)
        assert same_weights(whole, out)


def kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Kill at the `step`th change of the disk that makes something final."""
    left = [step]

    def counting(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*arguments, **options)

        return call

    for name in ("replace", "rename", "fsync"):
        patch.setattr(os, name, counting(getattr(os, name)))


# Other settings


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"plan": dataclasses.replace(PLAN, learning_rate=0.2)}, "learning_rate"),
        ({"plan": dataclasses.replace(PLAN, epochs=4)}, "epochs"),
        ({"plan": dataclasses.replace(PLAN, quantizer="clip")}, "quantizer"),
        ({"dataset": dataclasses.replace(generated(), split="another")}, "split of the data set"),
        ({"dataset": dataclasses.replace(generated(), class_names=("a", "b", "d"))}, "list of classes"),
    ],
)
def test_other_settings_do_not_resume_a_run_also_when_its_seed_is_finished(
    changed, named, whole, interrupted, tmp_path
):
    out = copied(interrupted, tmp_path)
    with pytest.raises(ValueError, match=f"holds a run with another {named}; resume it with the settings"):
        train(out, **changed)
    shutil.copytree(whole, settings.seed_folder(settings.work_folder(out), 0))
    with pytest.raises(ValueError, match=f"holds a run with another {named}; resume it with the settings"):
        train(out, seeds=(0, 1), **changed)


def test_a_run_whose_settings_are_lost_is_not_mixed_with_another(interrupted, tmp_path):
    out = copied(interrupted, tmp_path)
    (settings.work_folder(out) / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"does not say what run this is .*; restore it, or remove the folder"):
        train(out)


@pytest.mark.parametrize("seeds", [(0, 0), (), (-1,)])
def test_seeds_that_are_no_run_are_refused_before_training(seeds, tmp_path):
    with pytest.raises(ValueError, match="seeds must be different whole numbers from 0"):
        train(tmp_path / "pair", seeds=seeds)
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_for_several_seeds_is_refused_before_training(whole, tmp_path):
    control = dataclasses.replace(PLAN, name="control", quantizer="clip")
    with pytest.raises(ValueError, match=re.escape("one network of one seed, got seeds [0, 1]; train each seed")):
        train(tmp_path / "pair", plan=control, seeds=(0, 1), baseline=whole)
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_of_another_or_of_both_precisions_is_taken_on_request_and_the_card_tells(whole, tmp_path):
    control = dataclasses.replace(PLAN, name="control", quantizer="clip")
    train(tmp_path / "moved", stop=("baseline", 1))
    train(tmp_path / "moved", precision=torch.bfloat16)  # the rest of it
    settings.check_precision(whole, torch.float32)
    for source, precisions in ((whole, ["float32"] * 3), (tmp_path / "moved", ["float32", "bfloat16", "bfloat16"])):
        found = " and ".join(sorted(set(precisions)))
        said = f"trained in {found}, and this run would be in bfloat16; choose with --precision "
        with pytest.raises(ValueError, match=said):
            settings.check_precision(source, torch.bfloat16)
        out = tmp_path / f"control of {source.name}"
        reported = train(out, plan=control, baseline=source, precision=torch.bfloat16)
        assert {arm for _, arm, _ in reported} == {"jpegdl"}
        card = load_pair(out).card
        assert [epoch.precision for epoch in card.history["baseline"]] == precisions
        assert {epoch.precision for epoch in card.history["jpegdl"]} == {"bfloat16"}
        (run,) = gather([card])
        assert "the two networks trained in different precision" in limits(run)
    (run,) = gather([load_pair(whole).card])
    assert not any("precision" in reason for reason in limits(run))


# Elsewhere


def test_a_finished_arm_alone_is_a_baseline_on_another_machine(whole, interrupted, tmp_path):
    arm = settings.arm_folder(settings.work_folder(interrupted), 0, "baseline")
    card, model = load_arm(shutil.copytree(arm, tmp_path / "carried"))
    assert (card.arm, len(card.history), card.recipe) == ("baseline", 3, PLAN)
    assert {path.suffix for path in (tmp_path / "carried").iterdir()} == {".json", ".safetensors"}
    assert train(tmp_path / "pair", baseline=tmp_path / "carried") == [(0, "jpegdl", number) for number in (1, 2, 3)]
    assert same_weights(whole, tmp_path / "pair")
    assert all(torch.equal(v, load_pair(whole).baseline.state_dict()[k]) for k, v in model.state_dict().items())


def test_an_arm_with_the_layer_is_no_baseline(interrupted, tmp_path):
    out = copied(interrupted, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_module, "count", lambda *_: pytest.fail("measured"))
        with pytest.raises(pytest.fail.Exception):
            train(out)
    arm = settings.arm_folder(settings.work_folder(out), 0, "jpegdl")
    with pytest.raises(ValueError, match="holds a JPEG-DL network; --baseline takes one without the layer"):
        train(tmp_path / "other", baseline=arm)


def test_a_packed_run_goes_on_elsewhere_close_to_where_it_was(whole, interrupted, tmp_path):
    size = pack(settings.work_folder(interrupted), tmp_path / "run.zip")
    state = state_of(interrupted, "jpegdl")
    loose = sum(path.stat().st_size for path in settings.work_folder(interrupted).rglob("*") if path.is_file())
    assert size == (tmp_path / "run.zip").stat().st_size < loose - previous(state).stat().st_size
    out = tmp_path / "elsewhere" / "pair"
    unpack(tmp_path / "run.zip", settings.work_folder(out))
    assert train(out) == [(0, "jpegdl", number) for number in (1, 2, 3)]
    ours, theirs = load_pair(out), load_pair(whole)
    pictures = torch.randint(0, 256, (20, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(logits(ours.baseline, pictures), logits(theirs.baseline, pictures))
    assert torch.allclose(logits(ours.jpegdl, pictures), logits(theirs.jpegdl, pictures), atol=0.05)
    with pytest.raises(ValueError, match=r"run\.zip exists; choose another file"):
        pack(settings.work_folder(interrupted), tmp_path / "run.zip")


def test_a_run_that_is_packed_while_it_writes_its_state_has_the_one_before(interrupted, tmp_path):
    out = copied(interrupted, tmp_path / "writing")
    state_of(out, "jpegdl").unlink()  # between its two names: only the state of the epoch before lies there
    pack(settings.work_folder(out), tmp_path / "run.zip")
    unpack(tmp_path / "run.zip", settings.work_folder(tmp_path / "pair"))
    assert settings.epochs_left(settings.work_folder(tmp_path / "pair"), PLAN, [0]) == {(0, "jpegdl"): 2}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_packed_run_is_refused_and_leaves_nothing(damage, interrupted, tmp_path):
    file = tmp_path / "run.zip"
    pack(settings.work_folder(interrupted), file)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with pytest.raises(ValueError, match="is damaged, or no packed run; copy it again"):
        unpack(file, tmp_path / ".pair.training")
    assert [path.name for path in tmp_path.iterdir()] == ["run.zip"]


def test_what_is_no_run_is_not_packed(tmp_path):
    with pytest.raises(ValueError, match="does not say what run this is"):
        pack(tmp_path, tmp_path / "run.zip")
    with pytest.raises(ValueError, match="does not exist; pack a run first"):
        unpack(tmp_path / "run.zip", tmp_path / "run")


# Provenance


def test_the_commit_is_that_of_this_code_wherever_the_command_is_started(tmp_path, monkeypatch):
    package = tmp_path / "code" / "jpegdl"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    outside = code_version(package)
    assert not re.fullmatch("[0-9a-f]{40}(-dirty)?", outside)  # no checkout: the installed version, or nothing
    git(package.parent, "init", "-q")
    assert code_version(package) == outside  # in another project's checkout, as an environment inside it
    git(package.parent, "add", "jpegdl")
    git(package.parent, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "one")
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.setenv("GIT_DIR", str(tmp_path))  # as in a hook
    assert code_version(package) == git(package.parent, "rev-parse", "HEAD")
    (package / "new.py").write_text("")
    assert code_version(package) == git(package.parent, "rev-parse", "HEAD") + "-dirty"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "--git-dir", str(folder / ".git"), "--work-tree", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.strip()
