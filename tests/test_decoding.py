"""Decoding in processes of their own: the same squares, and one sentence for who sends what kills one."""

import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jpegdl.pairs.prepare import prepare
from jpegdl.server import decoding
from jpegdl.server.decoding import Decoders, cost
from jpegdl.server.uploads import MISSING, NOT_A_PICTURE, TOO_COSTLY, UNREADABLE, Refused, read_upload
from tests.conftest import EXAMPLES

SQUARES = [(32, 32), (224, 256)]
EXAMPLE = min(EXAMPLES.glob("*.jpg"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of a process are Linux's")


@pytest.fixture(scope="module")
def decoders() -> Decoders:
    return Decoders(SQUARES)


def saved(folder: Path, picture: Image.Image, name: str, **settings: Any) -> str:
    picture.save(folder / name, **settings)
    return str(folder / name)


@pytest.fixture(scope="module")
def bomb(tmp_path_factory) -> str:
    """A small valid PNG of 25 megapixels with transparency: 2.6 CPU-seconds."""
    picture = Image.new("RGBA", (5000, 5000), (200, 30, 30, 128))
    return saved(tmp_path_factory.mktemp("bomb"), picture, "bomb.png")


@pytest.mark.parametrize("squares", SQUARES)
def test_the_squares_facts_and_tables_are_those_of_this_process(decoders, squares):
    here, there = read_upload(str(EXAMPLE)), decoders.read(str(EXAMPLE))
    assert there.image.size == here.image.size
    assert (prepare(there.image, *squares) == prepare(here.image, *squares)).all()
    assert (there.notes, there.file_tables, there.format) == (here.notes, here.file_tables, here.format)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, MISSING),
        (lambda folder: "", MISSING),
        (lambda folder: str(folder / "gone.jpg"), UNREADABLE),
        (lambda folder: "/a\0b", UNREADABLE),
        (lambda folder: str(folder), UNREADABLE),
        (lambda folder: write(folder / "text.jpg", b"hello" * 100), NOT_A_PICTURE),
    ],
    ids=["none", "empty", "gone", "impossible", "a folder", "no picture"],
)
def test_what_is_refused_here_is_refused_there_by_the_same_sentence(decoders, tmp_path, make, sentence):
    with pytest.raises(Refused) as refused:
        decoders.read(make(tmp_path))
    assert str(refused.value) == sentence


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_a_square_that_nobody_prepared_is_an_error(decoders):
    with pytest.raises(ValueError, match=r"expected one of the squares .* got \(64, 64\)"):
        prepare(decoders.read(str(EXAMPLE)).image, 64, 64)


@linux
@pytest.mark.parametrize(("limit", "value"), [("CPU_SECONDS", "0.2"), ("MEMORY", "20 * 2**20")])
def test_a_picture_over_the_limits_costs_its_sender_a_sentence_and_the_next_is_read(bomb, monkeypatch, limit, value):
    """With limits so low that a quick machine reaches them, too."""
    code = f"from jpegdl.server import decoder; decoder.{limit} = {value}; decoder.main()"
    start = subprocess.Popen

    def limited(command: list[str], **settings: Any) -> "subprocess.Popen[bytes]":
        return start([sys.executable, "-c", code], **settings)

    monkeypatch.setattr("jpegdl.server.decoding.subprocess.Popen", limited)
    decoders = Decoders(SQUARES)
    with pytest.raises(Refused) as refused:
        decoders.read(bomb)
    assert str(refused.value) == TOO_COSTLY
    assert decoders.read(str(EXAMPLE)).format == "JPEG"


@linux
def test_a_decoder_that_hangs_is_ended_by_the_clock(monkeypatch):
    start, hanging = subprocess.Popen, [True, True]

    def hangs_once(command: list[str], **settings: Any) -> "subprocess.Popen[bytes]":
        hangs = [sys.executable, "-c", "import time; time.sleep(60)"]
        return start(hangs if hanging and hanging.pop() else command, **settings)

    monkeypatch.setattr("jpegdl.server.decoding.subprocess.Popen", hangs_once)
    monkeypatch.setattr(decoding, "WALL_SECONDS", 0.5)
    decoders = Decoders(SQUARES)
    with pytest.raises(Refused, match="too long"):
        decoders.read(str(EXAMPLE))


@linux
def test_ten_costly_pictures_do_not_keep_an_ordinary_one_waiting(bomb, tmp_path):
    decoders = Decoders(SQUARES)
    decoders.read(str(EXAMPLE))
    data = Path(bomb).read_bytes()
    costly = [decoders.expect(write(tmp_path / f"{number}.png", data)) for number in range(10)]
    ordinary = write(tmp_path / "ordinary.jpg", EXAMPLE.read_bytes())
    started = time.monotonic()
    assert decoders.read(ordinary).format == "JPEG"
    assert time.monotonic() - started < 3
    assert not all(future.done() for future in costly)
    for future in costly[1:]:
        future.cancel()


def test_costs_follow_from_the_header(bomb, tmp_path):
    noise = Image.effect_noise((1000, 1000), 50).convert("RGB")
    assert cost(bomb) > decoding.LARGE >= cost(str(EXAMPLE))
    assert cost(saved(tmp_path, noise.convert("CMYK"), "cmyk.jpg")) == 4e6
    assert cost(saved(tmp_path, noise, "progressive.jpg", progressive=True)) > 1.5e6
    assert cost(write(tmp_path / "text.jpg", b"text")) == 0


def test_without_processes_pictures_are_decoded_here(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no processes here")

    monkeypatch.setattr("jpegdl.server.decoding.subprocess.Popen", refuse)
    assert Decoders(SQUARES).read(str(EXAMPLE)).image.squares[32, 32].shape == (32, 32, 3)


def test_equal_files_are_decoded_once_and_a_changed_one_again(decoders, tmp_path):
    path = write(tmp_path / "a.jpg", EXAMPLE.read_bytes())
    assert decoders.expect(path) is decoders.expect(path)
    first = decoders.read(path)
    write(Path(path), Path(path).read_bytes() + b" ")
    assert decoders.read(path) is not first


def test_one_file_is_decoded_once_however_its_path_is_written(decoders, tmp_path):
    path = write(tmp_path / "a.jpg", EXAMPLE.read_bytes())
    (tmp_path / "link").symlink_to(tmp_path)
    spelled = [f"{tmp_path}/./a.jpg", f"{tmp_path}//a.jpg", f"{tmp_path}/link/../{tmp_path.name}/a.jpg"]
    assert {id(decoders.expect(name)) for name in (*spelled, f"{tmp_path}/link/a.jpg")} == {id(decoders.expect(path))}


def test_what_was_decoded_is_forgotten_when_its_file_is_gone_and_not_before(tmp_path):
    decoders = Decoders(SQUARES)
    kept, gone = (write(tmp_path / name, EXAMPLE.read_bytes()) for name in ("kept.jpg", "gone.jpg"))
    first, second = decoders.expect(kept), weakref.ref(decoders.expect(gone))
    decoders.read(gone)
    Path(gone).unlink()
    decoders.forget_deleted()
    gc.collect()
    assert decoders.expect(kept) is first
    assert second() is None


def test_the_decoder_is_light_and_told_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    code = "import sys, jpegdl.server.decoder; print('torch' in sys.modules, 'gradio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    decoders = Decoders(SQUARES)
    decoders.read(str(EXAMPLE))
    if sys.platform == "linux":
        children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        numbers = [number for listed in children for number in listed.read_text(encoding="ascii").split()]
        environments = [Path(f"/proc/{number}/environ").read_bytes() for number in numbers]
        told = [b"HF_TOKEN" in environment for environment in environments if b"MALLOC_ARENA_MAX=1" in environment]
        assert set(told) == {False}
