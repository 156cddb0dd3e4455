"""Result files: exact, named by content, written once, and whole at every moment."""

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jpegdl.server.results import save_bytes, save_png


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_saved_picture_has_exactly_the_pixels_of_the_original(tmp_path, photo, mode):
    original = photo.convert(mode)
    with Image.open(save_png(original, tmp_path)) as saved:
        assert saved.format == "PNG"
        assert saved.mode == mode
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(original))


def test_a_mode_whose_bytes_do_not_determine_the_picture_is_refused(tmp_path, photo):
    with pytest.raises(ValueError, match="got P; convert it first"):
        save_png(photo.convert("P"), tmp_path)


def test_equal_pictures_share_one_file_and_others_do_not(tmp_path):
    black = Image.new("RGB", (8, 16))
    assert save_png(black, tmp_path) == save_png(black.copy(), tmp_path)
    others = [Image.new("RGB", (16, 8)), Image.new("RGB", (8, 16), (0, 0, 1)), Image.new("L", (24, 16))]
    assert len({save_png(picture, tmp_path) for picture in [black, *others]}) == 4


def test_a_result_that_exists_is_not_written_again_but_counts_as_new(tmp_path, photo):
    path = save_png(photo, tmp_path)
    inode = os.stat(path).st_ino
    os.utime(path, (0, 0))
    assert save_png(photo, tmp_path) == path
    assert os.stat(path).st_ino == inode
    assert time.time() - os.stat(path).st_mtime < 60


def test_a_result_that_was_deleted_is_written_again(tmp_path, photo):
    path = Path(save_png(photo, tmp_path))
    path.unlink()
    assert Path(save_png(photo, tmp_path)) == path
    assert path.exists()


def test_a_file_is_whole_whenever_it_can_be_seen(tmp_path, photo):
    expected = Path(save_png(photo, tmp_path / "alone")).read_bytes()

    def save_and_read(_number):
        return Path(save_png(photo, tmp_path / "together")).read_bytes()

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(save_and_read, range(64))) == {expected}
    assert len(list((tmp_path / "together").iterdir())) == 1


def test_a_write_that_fails_leaves_nothing(tmp_path, photo, monkeypatch):
    def full_disk(*_paths):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_png(photo, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_keeps_its_name_and_every_byte(tmp_path):
    paths = [Path(save_bytes(data, "report.json", tmp_path)) for data in (b"{}", b"[]", b"{}")]
    assert [path.name for path in paths] == ["report.json"] * 3
    assert [path.read_bytes() for path in paths] == [b"{}", b"[]", b"{}"]
    assert paths[0] == paths[2] != paths[1]


@pytest.mark.parametrize("name", ["../x.txt", "a/b.txt", ".txt", "x.html", "x.svg", "x", "x.txt\n", "a\0.txt", ""])
def test_a_name_that_is_no_plain_download_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="plain file name"):
        save_bytes(b"", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_result_tells_nothing_but_its_pixels(tmp_path):
    picture = Image.new("RGB", (8, 8))
    picture.info = {"comment": "secret", "icc_profile": b"secret", "exif": b"Exif\0\0secret"}
    with Image.open(io.BytesIO(Path(save_png(picture, tmp_path)).read_bytes())) as saved:
        saved.load()
        assert saved.info == {}
