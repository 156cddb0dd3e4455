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
EXAMPLES = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
LICENSES = (ASSETS / "LICENSES.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in LICENSES.splitlines()
    if re.match(r"\| \S+\.(jpg|png) \|", line)
]
FLOWERS = """
    daffodil snowdrop lily_valley bluebell crocus iris tigerlily tulip fritillary sunflower daisy colts_foot
    dandelion cowslip buttercup windflower pansy
"""  # the 17 classes of Oxford Flowers-17


def test_files_captions_and_licences_name_the_same_pictures():
    assert sorted(example["file"] for example in EXAMPLES) == FILES
    assert sorted(row[0] for row in ROWS) == FILES
    assert len(FILES) >= 8


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_licence_row_names_author_source_change_and_links_a_free_licence(row):
    _, shows, author, licence, source, changed = row
    assert re.fullmatch(
        r"\[(CC0|CC BY|CC BY-SA|GPL)[ -][\w.-]+\]\(https://(creativecommons|www\.gnu)\.org/\S+\)", licence
    )
    assert re.search(r"\d+\.\d+", source), "the source's version is missing"
    assert all((shows, author, source, changed))


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["file"] for example in EXAMPLES])
def test_every_caption_says_whether_the_picture_is_inside_the_classes(example):
    assert set(example) == {"file", "caption", "inside", "class"}
    assert example["inside"] == (example["class"] is not None)
    assert example["class"] in [None, *FLOWERS.split()]
    assert 0 < len(example["caption"]) <= 80


def test_there_are_pictures_inside_and_outside_the_classes():
    assert {example["inside"] for example in EXAMPLES} == {True, False}


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
