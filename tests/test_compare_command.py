"""`python -m jpegdl compare`: the panels and numbers of the API as files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jpegdl.__main__ import main
from jpegdl.analysis.panels import NAMES
from jpegdl.analysis.request import answer, make_request
from jpegdl.pairs.checkpoints import load_pair
from tests.tiny import TINY, add_tiny, smooth_picture, write_pair


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    add_tiny(monkeypatch)
    write_pair(tmp_path / "one", TINY, 7)
    smooth_picture(40, 60).save(tmp_path / "wavés.png")
    return tmp_path


def run(monkeypatch, folder: Path, *options: str, picture: str = "wavés.png") -> int:
    where = ["--pair", str(folder / "one"), "--out", str(folder / "out" / "deep")]
    monkeypatch.setattr(sys, "argv", ["jpegdl", "compare", str(folder / picture), *where, "--device", "cpu", *options])
    return main()


def test_the_files_and_numbers_are_those_of_the_answer(folder, monkeypatch, capsys):
    options = ("--target", "true", "--true-class", "class 3", "--stage", "early", "--quantizer", "all levels")
    assert run(monkeypatch, folder, *options) == 0
    out = folder / "out" / "deep"
    assert {path.name for path in out.iterdir()} == {*NAMES, "numbers.json"}
    numbers = json.loads((out / "numbers.json").read_text(encoding="utf-8"))
    pair = load_pair(folder / "one")
    request = make_request(
        pair.card, smooth_picture(40, 60), target="true", true_class="class 3", stage="early", quantizer="all levels"
    )
    found = answer({"one": pair}, request)
    assert numbers["settings"]["stage"] == "early"
    assert numbers["arms"]["jpegdl"]["answer"] == pair.card.class_names[found.firsts["jpegdl"]]
    assert np.array_equal(np.asarray(Image.open(out / "picture.png")), found.square)
    said = capsys.readouterr().out
    assert f"jpegdl: {pair.card.class_names[found.firsts['jpegdl']]} (" in said


@pytest.mark.parametrize(
    ("options", "picture", "message"),
    [
        (("--stage", "stage 9"), "wavés.png", "no stage 'stage 9'; there are: 'early', 'last'"),
        (("--target", "true"), "wavés.png", "which class that is was not said"),
        (("--true-class", "tulip"), "wavés.png", "no class 'tulip'"),
        ((), "missing.png", "missing.png"),
    ],
)
def test_what_is_not_accepted_is_one_sentence_and_writes_nothing(
    folder, monkeypatch, capsys, options, picture, message
):
    assert run(monkeypatch, folder, *options, picture=picture) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "out").exists()
