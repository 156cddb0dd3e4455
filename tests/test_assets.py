"""The example pictures: each one captioned, licensed, small, and without anybody's metadata."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from jpegdl.codec.jpegfile import read_tables, scale_standard
from jpegdl.server.uploads import read_upload

ASSETS = Path(__file__).parents[1] / "assets"
FILES = sorted(path.name for path in (ASSETS / "examples").iterdir())
TRAYS = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
FIXED, PICKED = TRAYS["fixed"], TRAYS["picked"]
LICENSES = (ASSETS / "LICENSES.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in LICENSES.splitlines()
    if re.match(r"\| \S+\.(jpg|png) \|", line)
]


def test_files_captions_and_licences_name_the_same_pictures():
    assert sorted({example["file"] for example in [*FIXED, *PICKED]}) == FILES
    assert sorted(row[0] for row in ROWS) == FILES
    assert len(FILES) >= 8


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_licence_row_names_author_source_change_and_links_a_free_licence(row):
    _, shows, author, licence, source, changed = row
    assert re.fullmatch(
        r"\[(CC0|CC BY|CC BY-SA|GPL|Public Domain Mark)[ -][\w.-]+\]\(https://(creativecommons|www\.gnu)\.org/\S+\)",
        licence,
    )
    assert re.search(r"\d+\.\d+|at [0-9a-f]{8}\b", source), "the source's version or commit is missing"
    assert all((shows, author, source, changed))


@pytest.mark.parametrize("example", FIXED, ids=[example["name"] for example in FIXED])
def test_every_picture_of_the_fixed_tray_has_a_caption_that_is_true_of_any_pair(example):
    assert set(example) == {"name", "file", "caption", "classes"}
    assert 0 < len(example["caption"]) <= 80
    assert not re.search(r"class|network|pair|flower17|training", example["caption"])


@pytest.mark.parametrize("example", PICKED, ids=[example["name"] for example in PICKED])
def test_every_picked_picture_is_a_part_of_a_file_and_belongs_to_one_pair(example):
    assert set(example) == {"pair", "name", "file", "box", "class", "caption"}
    with Image.open(ASSETS / "examples" / example["file"]) as image:
        left, top, right, bottom = example["box"]
        assert 0 <= left < right <= image.width
        assert 0 <= top < bottom <= image.height
    assert 0 < len(example["caption"]) <= 80


@pytest.mark.parametrize("name", FILES)
def test_every_picture_is_small_and_carries_no_metadata(name):
    path = ASSETS / "examples" / name
    assert path.stat().st_size < 150_000
    with Image.open(path) as image:
        assert max(image.size) <= 640
        assert image.mode == "RGB"
        assert dict(image.getexif()) == {}
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize("name", FILES)
def test_every_picture_is_an_upload_that_the_app_accepts_as_it_is(name):
    upload = read_upload(ASSETS / "examples" / name)
    assert upload.notes == ()
    assert upload.format == "JPEG"
    assert max(upload.image.size) <= 640


@pytest.mark.parametrize("name", FILES)
def test_every_picture_is_stored_finely_and_without_chroma_subsampling(name):
    data = (ASSETS / "examples" / name).read_bytes()
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x11
    assert [table.tolist() for table in read_tables(data)] == scale_standard(92).tolist()
