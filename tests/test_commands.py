"""The command line where its user, not a data set or a pair, is at odds with it: values, pipes, signals, bad files."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from jpegdl.__main__ import main
from jpegdl.commands import tables
from tests.tiny import write_flowers17

ROOT = Path(__file__).parents[1]


def command(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jpegdl", *map(str, arguments)])
        return main()


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--limit", "0", "must be a whole number, 1 or more, got 0"),
        ("--limit", "-3", "must be a whole number, 1 or more, got -3"),
        ("--limit", "2.5", "must be a whole number, 1 or more, got 2.5"),
        ("--steps", "0", "must be a whole number, 1 or more, got 0"),
        ("--restarts", "-1", "must be a whole number, 1 or more, got -1"),
        ("--queries", "none", "must be a whole number, 1 or more, got none"),
        ("--seed", "-1", "must be a whole number, 0 to 2^32 - 1, got -1"),
        ("--epsilons", "0", "must be above 0 and at most 255, got 0"),
        ("--epsilons", "-4", "must be above 0 and at most 255, got -4"),
        ("--epsilons", "nan", "must be above 0 and at most 255, got nan"),
        ("--threads", "0", "must be a whole number, 1 or more, got 0"),
        ("--device", "gpu", "must be cpu or a GPU that torch can use here, got gpu"),
        ("--device", "cuda:93", "must be cpu or a GPU that torch can use here, got cuda:93"),
    ],
)
def test_an_impossible_value_of_an_option_is_refused_before_anything_is_read(tmp_path, capsys, option, value, sentence):
    (tmp_path / "pair.json").touch()
    assert f"argument {option}: {sentence}" in refused(
        capsys, "attack", tmp_path, "--data", tmp_path, f"{option}={value}"
    )


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The last line of what argparse says before any command runs."""
    with pytest.raises(SystemExit) as stopped:
        command(*arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("words", [("train", "pets-resnet18", "--out", "o"), ("reproduce", "table2")])
def test_the_same_seed_twice_is_refused_before_anything_is_read(capsys, words):
    said = refused(capsys, *words, "--data", "nothing", "--seeds", 1, 0, 1)
    assert said.endswith("argument --seeds: must be different, got 1 0 1")


def test_a_recipe_that_there_is_not_is_refused_with_the_names_that_are_near(capsys):
    said = refused(capsys, "train", "cifar100-resnet33", "--data", "d", "--out", "o")
    assert "no recipe is called cifar100-resnet33; did you mean cifar100-resnet32 or " in said
    assert said.endswith("`train --list` has all names")
    assert len(said) < 250
    assert "did you mean" not in refused(capsys, "train", "?", "--data", "d", "--out", "o")


def test_weights_that_are_not_there_are_named_before_anything_is_read(tmp_path, capsys):
    for name, sentence in (("nothing.pth", "is not there; pass a file"), (".", "is no file; pass a file")):
        said = refused(capsys, "train", "pets-resnet18", "--data", "d", "--weights", tmp_path / name)
        assert said.endswith(f"argument --weights: {tmp_path / name} {sentence}")


PAIR_COMMANDS = [
    ("attack", "{}", "--data", "d"),
    ("evaluate", "{}", "--data", "d"),
    ("evaluate", "{}", "--data", "d", "--maps"),
    ("compare", "p.jpg", "--out", "o", "--pair", "{}"),
    ("prove", "{}"),
    ("record", "{}"),
    ("tables", "{}"),
]


@pytest.mark.parametrize("words", PAIR_COMMANDS, ids=" ".join)
def test_what_is_no_pair_is_called_by_what_it_is_whichever_command_is_asked(tmp_path, capsys, words):
    (tmp_path / "run" / "one").mkdir(parents=True)
    (tmp_path / "run" / "one" / "pair.json").touch()
    (tmp_path / ".half.training").mkdir()
    for name, sentence in {
        "nothing": "is not there; pass the folder of a pair, such as checkpoints/NAME",
        "run/one/pair.json": "is a file; pass the folder of a pair, such as checkpoints/NAME",
        "run": f"is no pair, but holds 1; pass one of them, such as {tmp_path / 'run' / 'one'}",
        "half": "is in training; go on with `train --resume`",
        ".half.training": "has no pair.json, so it is no pair; restore the file, or pass the folder of a pair",
        "n" * 300: "cannot be read: File name too long",
    }.items():
        said = refused(capsys, *(word.format(tmp_path / name) for word in words))
        assert said.endswith(f": {tmp_path / name} {sentence}")


def test_a_reader_that_stops_reading_is_no_error():
    """As in `train --list | head`; this one has gone before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        program = [sys.executable, "-m", "jpegdl", "train", "--list"]
        done = subprocess.run(program, stdout=writing, stderr=subprocess.PIPE, encoding="utf-8", cwd=ROOT)
    finally:
        os.close(writing)
    assert (done.stderr, done.returncode) == ("", 141)


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (KeyboardInterrupt(), "\nstopped\n", 130),
        (
            PermissionError(13, "Permission denied", "results.md"),
            "error: [Errno 13] Permission denied: 'results.md'\n",
            2,
        ),
        (ValueError("a sentence"), "error: a sentence\n", 2),
    ],
)
def test_what_stops_a_command_is_said_without_a_traceback(monkeypatch, capsys, error, said, code):
    def stop(_: object) -> None:
        raise error

    monkeypatch.setattr(tables, "_tables", stop)
    assert command("tables", next((ROOT / "checkpoints").iterdir())) == code
    assert capsys.readouterr().err == said


def test_train_names_a_damaged_test_picture_before_it_trains(tmp_path, capsys):
    write_flowers17(tmp_path / "data", 8)
    victim = tmp_path / "data" / "03.flower13" / "image_0042.jpg"
    victim.write_bytes(victim.read_bytes()[:-60])
    train = ["train", "flowers17-resnet18", "--data", tmp_path / "data", "--out", tmp_path / "pair", "--device", "cpu"]
    assert command(*train) == 2
    assert capsys.readouterr().err.startswith(f"error: {victim} cannot be decoded as a picture")
    assert not (tmp_path / ".pair.training").exists()


def test_a_sentence_with_signs_that_an_encoding_lacks_ends_no_command():
    pair = "flowers102-authors-efficientnet_lite0-mean_absolute"  # of three seeds, so its verdict has a minus
    words = ["train", pair, "--data", "nowhere", "--out", f"checkpoints/{pair}", "--resume", "--seeds", "0"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-m", "jpegdl", *words], capture_output=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"has seed 0 already; nothing is left to train." in done.stdout


PAGES_TAKEN = """
import ctypes, resource, sys
import numpy as np
from jpegdl.commands.memory import keep_freed_memory
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages, which the system gives or not, are no measure
if sys.argv[1] == "kept":
    keep_freed_memory()
def taken():
    np.ones(2**21)  # 16 MB: 4096 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first, *_, last = [taken() for _ in range(20)]
print(last - first)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_a_command_takes_memory_from_the_system_once_unless_its_user_has_set_it_otherwise():
    def pages(way: str, **environment: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", PAGES_TAKEN, way], capture_output=True, cwd=Path(__file__).parents[1], check=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        return int(done.stdout)

    each_time = pages("given back", MALLOC_MMAP_MAX_="65536")
    if each_time == 0:
        pytest.skip("this system does not count pages")
    assert pages("kept") < each_time / 2
    assert pages("kept", MALLOC_MMAP_MAX_="65536") > each_time * 0.9
