"""Real JPEG files, checked against Pillow's reader and writer, scipy's DCT and, where installed, cjpeg."""

import csv
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from scipy.fft import dctn, idctn

from jpegdl.codec import jpegfile
from jpegdl.codec.jpegfile import (
    STANDARD_TABLES,
    cjpeg_qtables_text,
    encode,
    integer_tables,
    read_tables,
    scale_standard,
    tables_csv,
    tables_json,
)


def smooth_picture(height: int = 48, width: int = 64) -> Image.Image:
    """Waves of every frequency in each channel: uses all 64 steps, stays away from 0 and 255."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [128 + 45 * np.sin(rows * columns / k) + 30 * np.cos(rows / 3 + columns / (k / 9)) for k in (40, 55, 70)]
    return Image.fromarray(np.stack(waves, axis=-1).round().astype(np.uint8))


def noise(side: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def uneven_tables() -> np.ndarray:
    """(2, 8, 8) steps, no two alike in a table and not symmetric, so any wrong order shows."""
    luma = 1 + np.arange(64).reshape(8, 8)
    return np.stack([luma, 140 - 2 * luma]).astype(float)


def pillow_tables(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, JpegImageFile)
        return np.array([table for _, table in sorted(image.quantization.items())]).reshape(-1, 8, 8)


def saved_by_pillow(**options: object) -> bytes:
    file = io.BytesIO()
    smooth_picture().save(file, "JPEG", **options)
    return file.getvalue()


def hard_codec(image: Image.Image, tables: np.ndarray) -> np.ndarray:
    """(H, W, 3), 0..255: JFIF colour in 8-bit samples, level shift, DCT, hard rounding with `tables`, and back."""
    to_ycc = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    height, width = image.height, image.width
    shift = np.array([128, 0, 0])
    ycc = (np.asarray(image) @ to_ycc.T).round() - shift
    blocks = ycc.reshape(height // 8, 8, width // 8, 8, 3)
    coefficients = dctn(blocks, axes=(1, 3), norm="ortho")
    steps = np.stack([tables[0], tables[1], tables[1]], axis=-1)[:, None]  # (8, 1, 8, 3)
    decoded = idctn(np.round(coefficients / steps) * steps, axes=(1, 3), norm="ortho")
    rgb = (decoded.reshape(height, width, 3) + shift) @ np.linalg.inv(to_ycc).T
    return rgb.round().clip(0, 255)


# Writing


@pytest.mark.parametrize(
    "tables", [uneven_tables(), STANDARD_TABLES, np.ones((2, 8, 8))], ids=["uneven", "standard", "ones"]
)
def test_a_file_decodes_to_what_a_hard_codec_with_the_same_tables_gives(tables):
    file = encode(smooth_picture(), tables)
    decoded = np.asarray(Image.open(io.BytesIO(file.data)).convert("RGB")).astype(float)
    difference = np.abs(decoded - hard_codec(smooth_picture(), tables))
    # libjpeg's integer DCT may round a coefficient that lies half-way the other way: 0.5 % of the values here
    assert (difference <= 3).mean() > 0.99
    assert difference.mean() < 0.6


def test_the_same_comparison_fails_for_tables_in_another_order():
    file = encode(smooth_picture(), uneven_tables())
    decoded = np.asarray(Image.open(io.BytesIO(file.data))).astype(float)
    for wrong in (uneven_tables().swapaxes(1, 2), uneven_tables()[::-1]):
        assert (np.abs(decoded - hard_codec(smooth_picture(), wrong)) <= 3).mean() < 0.9


def test_the_written_tables_are_those_asked_for_in_the_same_order():
    file = encode(smooth_picture(), uneven_tables())
    assert np.array_equal(file.tables, uneven_tables())
    assert np.array_equal(pillow_tables(file.data), uneven_tables())


def test_the_file_stores_its_tables_in_zigzag_order():
    segment = encode(smooth_picture(), uneven_tables()).data.split(b"\xff\xdb")[1]
    # ITU-T T.81, figure A.6: DC, right, down-left, down, up-right, up-right, right ...
    assert list(segment[2:12]) == [0, 1, 2, 9, 17, 10, 3, 4, 11, 18]
    assert segment[66] == 64


def test_the_file_is_baseline_444_and_without_metadata():
    image = smooth_picture()
    image.info["comment"] = b"secret"
    file = encode(image, uneven_tables())
    frame = file.data.index(b"\xff\xc0")
    assert b"\xff\xc2" not in file.data[:frame]
    assert [file.data[frame + 11 + 3 * channel] for channel in range(3)] == [0x11, 0x11, 0x11]
    assert b"secret" not in file.data


def test_bits_per_pixel_counts_the_whole_file():
    file = encode(smooth_picture(), uneven_tables())
    assert file.bits_per_pixel == 8 * len(file.data) / (48 * 64)


def test_coarser_steps_make_a_smaller_file():
    sizes = [encode(smooth_picture(), np.full((2, 8, 8), step)).bits_per_pixel for step in (1, 4, 16, 64, 255)]
    assert sizes == sorted(sizes, reverse=True)


def test_the_report_lists_exactly_the_steps_that_a_file_cannot_hold():
    tables = uneven_tables()
    tables[0, 0, 1] = 0.3
    tables[0, 7, 2] = 12.5
    tables[1, 3, 4] = 254.6
    tables[1, 5, 6] = 900.0
    tables[1, 6, 6] = 20 + 1e-7
    assert encode(smooth_picture(), tables).changed == (
        (0, 0, 1, 0.3, 1),
        (0, 7, 2, 12.5, 12),
        (1, 3, 4, 254.6, 255),
        (1, 5, 6, 900.0, 255),
    )


def test_whole_steps_lose_nothing():
    assert encode(smooth_picture(), uneven_tables()).changed == ()


def test_noise_with_the_finest_steps_is_still_written():
    """Pillow's optimizing pass fails above 16 bits a pixel; the plain pass must take over."""
    file = encode(noise(256), np.ones((2, 8, 8)))
    assert not file.optimized
    assert file.bits_per_pixel > 16
    decoded = np.asarray(Image.open(io.BytesIO(file.data))).astype(float)
    assert (np.abs(decoded - hard_codec(noise(256), np.ones((2, 8, 8)))) <= 3).mean() > 0.999


def test_an_ordinary_picture_gets_optimized_codes():
    file = encode(smooth_picture(), STANDARD_TABLES)
    plain = saved_by_pillow(qtables=STANDARD_TABLES.reshape(2, 64).tolist(), subsampling=0)
    assert file.optimized
    assert len(file.data) < len(plain)


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (100, 37)])
def test_any_size_is_written(size):
    file = encode(Image.new("RGB", size, "teal"), STANDARD_TABLES)
    assert Image.open(io.BytesIO(file.data)).size == size


def test_a_file_with_other_tables_than_asked_for_is_refused(monkeypatch):
    other = saved_by_pillow(quality=75)
    monkeypatch.setattr(jpegfile, "_write", lambda image, tables: (other, True))
    with pytest.raises(ValueError, match="other tables than asked for"):
        encode(smooth_picture(), uneven_tables())


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_only_rgb_pictures_are_encoded(mode):
    with pytest.raises(ValueError, match=f"got mode {mode}"):
        encode(smooth_picture().convert(mode), STANDARD_TABLES)


# Tables


def test_integer_tables_are_rounded_and_clipped():
    steps = np.full((2, 8, 8), 7.0)
    steps[0, 0, :5] = [1e-5, 0.49, 1.5, 254.7, 1e6]
    assert integer_tables(steps)[0, 0].tolist() == [1, 1, 2, 255, 255, 7, 7, 7]
    assert integer_tables(steps).dtype.kind == "i"


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_a_step_that_is_not_a_positive_number_is_refused(step):
    tables = uneven_tables()
    tables[1, 2, 3] = step
    with pytest.raises(ValueError, match="finite number above 0"):
        integer_tables(tables)


@pytest.mark.parametrize("shape", [(2, 64), (8, 8), (3, 8, 8)])
def test_another_shape_is_refused_with_what_came(shape):
    with pytest.raises(ValueError, match=r"shape \(2, 8, 8\).*got"):
        integer_tables(np.ones(shape))


@pytest.mark.parametrize("quality", [1, 10, 25, 49, 50, 51, 75, 90, 95, 100])
def test_standard_tables_scale_as_pillows_quality_does(quality):
    data = saved_by_pillow(quality=quality, subsampling=0)
    assert np.array_equal(scale_standard(quality), pillow_tables(data))
    assert np.array_equal(scale_standard(quality), np.array(read_tables(data)))


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_a_quality_outside_1_to_100_is_refused(quality):
    with pytest.raises(ValueError, match=f"got {quality}"):
        scale_standard(quality)


def test_the_standard_tables_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        STANDARD_TABLES[0, 0, 0] = 1


# Reading


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 20}, {"comment": b"\xff\xdb\x00\x43"}])
def test_own_reader_agrees_with_pillows(options):
    data = saved_by_pillow(**options)
    assert np.array_equal(np.array(read_tables(data)), pillow_tables(data))


def test_sixteen_bit_tables_are_read():
    tables = uneven_tables() * 200
    data = saved_by_pillow(qtables=tables.astype(int).reshape(2, 64).tolist())
    assert np.array_equal(np.array(read_tables(data)), tables)
    assert np.array_equal(pillow_tables(data), tables)


def test_a_thumbnails_tables_are_not_taken_for_the_pictures():
    data = saved_by_pillow(quality=90, exif=b"Exif\0\0" + saved_by_pillow(quality=10))
    assert np.array_equal(np.array(read_tables(data)), scale_standard(90))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a JPEG file"),
        (b"\x89PNG\r\n\x1a\n", "not a JPEG file"),
        (saved_by_pillow()[:100], "use a complete file"),
        (b"\xff\xd8\xff\xdb\x00\x20\x00" + bytes(29) + b"\xff\xd9\0\0", "cut off"),
        (b"\xff\xd8\xff\xdb\x00\x43\x20" + bytes(64) + b"\xff\xd9\0\0", "unknown precision"),
        (b"\xff\xd8\x00\x00\x00\x00", "before any picture data"),
        (b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", "use a complete file"),
    ],
)
def test_what_is_not_a_whole_jpeg_is_refused_with_the_reason(data, message):
    with pytest.raises(ValueError, match=message):
        read_tables(data)


# Export


def test_cjpeg_text_holds_the_whole_numbers_row_by_row():
    lines = cjpeg_qtables_text(uneven_tables() + 0.2).splitlines()
    numbers = [[int(n) for n in line.split()] for line in lines if line and not line.startswith("#")]
    assert np.array_equal(np.array(numbers).reshape(2, 8, 8), uneven_tables())


@pytest.mark.skipif(shutil.which("cjpeg") is None, reason="cjpeg (libjpeg-turbo-progs) is not installed")
def test_cjpeg_writes_exactly_these_tables(tmp_path):
    text, source, target = tmp_path / "tables.txt", tmp_path / "in.ppm", tmp_path / "out.jpg"
    text.write_text(cjpeg_qtables_text(uneven_tables()), encoding="ascii")
    smooth_picture().save(source)
    switches = ["-quality", "50", "-qtables", str(text), "-sample", "1x1", "-baseline", "-outfile", str(target)]
    subprocess.run(["cjpeg", *switches, str(source)], check=True, timeout=20)
    assert np.array_equal(np.array(read_tables(target.read_bytes())), uneven_tables())


def test_csv_keeps_every_digit():
    tables = np.random.default_rng(0).uniform(0.01, 255, (2, 8, 8))
    rows = list(csv.DictReader(io.StringIO(tables_csv(tables))))
    assert [row["table"] for row in rows] == ["luma"] * 64 + ["chroma"] * 64
    assert (rows[10]["row"], rows[10]["column"]) == ("1", "2")
    assert np.array_equal(np.array([float(row["step"]) for row in rows]).reshape(2, 8, 8), tables)


def test_json_keeps_every_digit_and_says_the_unit():
    tables = np.random.default_rng(0).uniform(0.01, 255, (2, 8, 8))
    read = json.loads(tables_json({"learned": tables, "standard": STANDARD_TABLES}))
    assert "grey levels" in read["unit"]
    assert list(read["tables"]) == ["learned", "standard"]
    assert np.array_equal([read["tables"]["learned"][name] for name in ("luma", "chroma")], tables)
