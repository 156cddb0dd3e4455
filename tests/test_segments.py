"""What a JPEG file says of itself, for files that cjpeg and Pillow write, and for bytes that nobody should send."""

import io
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from jpegdl.codec.jpegfile import STANDARD_TABLES, scale_standard
from jpegdl.codec.segments import count_scans, segments, tables_by_component
from tests.tiny import smooth_picture

needs_cjpeg = pytest.mark.skipif(shutil.which("cjpeg") is None, reason="cjpeg (libjpeg-turbo-progs) is not installed")
RAMP = [np.arange(1, 65).reshape(8, 8) + 64 * number for number in range(3)]


def cjpeg(*switches: str, mode: str = "RGB") -> bytes:
    source = io.BytesIO()
    smooth_picture(40, 56).convert(mode).save(source, "PPM")
    return subprocess.run(
        ["cjpeg", *switches], input=source.getvalue(), check=True, timeout=20, capture_output=True
    ).stdout


def pillow(picture: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (picture or smooth_picture(40, 56)).save(file, "JPEG", **options)
    return file.getvalue()


def by_pillow(data: bytes) -> list[list[int]]:
    """The table of each component, in the frame's order, by Pillow's reader."""
    with Image.open(io.BytesIO(data)) as opened:
        assert isinstance(opened, JpegImagePlugin.JpegImageFile)
        return [list(opened.quantization[component[3]]) for component in opened.layer]


def flat(tables: dict[str, np.ndarray]) -> list[list[int]]:
    return [table.ravel().tolist() for table in tables.values()]


# Tables by component


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 20}, {"comment": b"\xff\xdb\x00\x43\xff\xda"}]
)
def test_an_ordinary_files_luma_and_chroma_have_the_tables_that_pillow_reads(options) -> None:
    data = pillow(**options)
    tables = tables_by_component(data)
    assert list(tables) == ["Y", "Cb", "Cr"]
    assert flat(tables) == by_pillow(data)


@needs_cjpeg
def test_tables_follow_the_component_where_their_numbers_are_exchanged() -> None:
    data = cjpeg("-quality", "90,50", "-qslots", "1,0")
    tables = tables_by_component(data)
    assert flat(tables) == by_pillow(data)
    plain = tables_by_component(cjpeg("-quality", "90,50"))
    assert not np.array_equal(tables["Y"], plain["Y"])  # cjpeg fills its slots in order: luma now has the coarser one
    assert np.array_equal(tables["Cb"], plain["Y"])


@needs_cjpeg
def test_three_components_may_have_three_tables(tmp_path: Path) -> None:
    text = "\n\n".join("\n".join(" ".join(map(str, row)) for row in table) for table in RAMP)
    (tmp_path / "tables.txt").write_text(text, encoding="ascii")
    switches = ("-quality", "50", "-qtables", str(tmp_path / "tables.txt"), "-baseline")
    tables = tables_by_component(cjpeg(*switches, "-qslots", "2,0,1"))
    assert {name: table.tolist() for name, table in tables.items()} == {
        "Y": RAMP[2].tolist(),
        "Cb": RAMP[0].tolist(),
        "Cr": RAMP[1].tolist(),
    }


@needs_cjpeg
def test_files_of_other_colours_name_their_components_by_these() -> None:
    assert list(tables_by_component(cjpeg("-rgb"))) == ["R", "G", "B"]
    assert list(tables_by_component(cjpeg("-grayscale"))) == ["grey"]
    assert list(tables_by_component(pillow(smooth_picture(40, 56).convert("CMYK")))) == ["C", "M", "Y", "K"]


@needs_cjpeg
def test_sixteen_bit_tables_are_read_whole() -> None:
    data = cjpeg("-quality", "1")
    assert tables_by_component(data)["Y"].tolist() == (STANDARD_TABLES[0] * 50).tolist()
    assert flat(tables_by_component(data)) == by_pillow(data)


def test_a_table_that_changes_between_scans_belongs_to_the_components_that_begin_after_it() -> None:
    def segment(marker: int, payload: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload

    def table(step: int) -> bytes:
        return segment(0xDB, b"\0" + bytes([step] * 64))

    def scan(component: int) -> bytes:
        return segment(0xDA, bytes([1, component, 0, 0, 63, 0])) + b"\x12\xff\x00\xff\xd0\x34"

    frame = segment(0xC0, bytes([8, 0, 8, 0, 8, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]))
    data = b"\xff\xd8" + table(7) + frame + scan(1) + table(9) + scan(2) + scan(1) + scan(3) + b"\xff\xd9"
    assert {name: int(found[0, 0]) for name, found in tables_by_component(data).items()} == {"Y": 7, "Cb": 9, "Cr": 9}


# Scans


@needs_cjpeg
def test_scans_are_counted_as_the_script_of_scans_orders_them(tmp_path: Path) -> None:
    script = tmp_path / "scans.txt"
    script.write_text("0,1,2: 0-0, 0, 0;\n0: 1-5, 0, 0;\n0: 6-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n", "ascii")
    assert count_scans(cjpeg("-scans", str(script))) == 5
    assert count_scans(cjpeg()) == 1
    assert count_scans(cjpeg("-restart", "1")) == 1


def test_what_lies_in_metadata_or_behind_the_picture_is_no_scan() -> None:
    thumbnail = pillow(progressive=True)
    plain = pillow(exif=b"Exif\0\0" + thumbnail, comment=b"\xff\xda" * 300)
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda\x00\x08" * 5000
    assert thumbnail.count(b"\xff\xda") > 1
    assert count_scans(plain) == count_scans(plain + film) == count_scans(plain + thumbnail) == 1


# Bytes that nobody should send


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_a_value_error(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x43\x00", b"\xff\xd8\xff\xc0\x00\x11"):
        for reader in (count_scans, tables_by_component):
            with suppress(ValueError):
                reader(start + data)


def test_a_file_cut_off_anywhere_says_what_it_held_until_there() -> None:
    data = pillow(quality=90, progressive=True)
    counts = []
    for end in range(2, len(data), 7):
        counts.append(count_scans(data[:end]))
        tables = tables_by_component(data[:end])
        assert all(np.array_equal(t, scale_standard(90)[int(name != "Y")]) for name, t in tables.items())
    assert counts == sorted(counts)
    assert counts[-1] == count_scans(data) == data.count(b"\xff\xda")


@pytest.mark.parametrize("piece", [b"\xff", b"\xff\xd0", b"\xff\x00", b"\xff\xda\x00\x02", b"\x00"])
def test_ten_megabytes_of_anything_are_walked_through_in_a_moment(piece: bytes) -> None:
    data = b"\xff\xd8" + piece * (10_000_000 // len(piece))
    started = time.process_time()
    count_scans(data)
    assert time.process_time() - started < 5  # a walk that turned back would take hours


def test_another_file_is_refused_with_its_first_bytes() -> None:
    with pytest.raises(ValueError, match=r"not a JPEG file: it starts with b'\\x89PNG'"):
        list(segments(b"\x89PNG\r\n"))
