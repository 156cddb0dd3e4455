"""Uploads: good files give the right pixels, hostile ones one clear sentence, nothing else comes out."""

import io
import os
import shutil
import subprocess
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageFile

from jpegdl.codec.jpegfile import read_tables
from jpegdl.server import uploads
from jpegdl.server.uploads import Refused, Upload, read_upload
from tests.hostile import hostile_pictures, picture, png, png_chunk, png_rows, progressive_with_scans, saved

# Pillow warns of odd files; a server prints that once, so it must not decide anything here either.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")

HOSTILE = list(hostile_pictures())
SECONDS = 5  # an upload's own worst case is under 1 s on a quiet core
EXIF_TURNS = {  # what must be done to the stored array, by the EXIF standard's row-0, column-0 table
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def upload(folder: Path, data: bytes, name: str = "visitor's file.bin") -> Upload:
    path = folder / name
    path.write_bytes(data)
    return read_upload(path)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        upload(folder, data)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


# Good pictures


@pytest.mark.parametrize("options", [("PNG", {}), ("WEBP", {"lossless": True})])
def test_a_lossless_picture_comes_out_pixel_by_pixel(tmp_path, options):
    result = upload(tmp_path, saved(picture(), options[0], **options[1]))
    assert np.array_equal(pixels(result.image), pixels(picture()))
    assert (result.format, result.notes, result.file_tables) == (options[0], (), None)


def test_a_jpeg_comes_out_as_its_decoder_gives_it(tmp_path):
    data = saved(picture(), "JPEG", quality=80)
    result = upload(tmp_path, data)
    assert np.array_equal(pixels(result.image), pixels(Image.open(io.BytesIO(data))))
    assert (result.format, result.notes) == ("JPEG", ())


@pytest.mark.parametrize("orientation", EXIF_TURNS)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_every_exif_orientation_is_turned_upright(tmp_path, orientation, file_format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = saved(picture(40, 24), file_format, exif=exif, **options)
    stored = pixels(Image.open(io.BytesIO(data)))
    result = upload(tmp_path, data)
    assert np.array_equal(pixels(result.image), EXIF_TURNS[orientation](stored))
    turned = ("Turned according to its EXIF orientation.",)
    assert result.notes == (() if orientation == 1 else turned)


def test_nothing_of_the_metadata_stays_in_the_picture(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    result = upload(tmp_path, saved(picture(), "JPEG", exif=exif, comment=b"secret", icc_profile=b"profile"))
    assert result.image.info == {}
    assert dict(result.image.getexif()) == {}
    assert type(result.image) is Image.Image


@pytest.mark.parametrize("quality", [10, 75, 100])
def test_file_tables_are_the_files_own_in_row_major_order(tmp_path, quality):
    data = saved(picture(), "JPEG", quality=quality)
    tables = upload(tmp_path, data).file_tables
    assert tables is not None
    assert np.array_equal(np.array(tables), np.array(read_tables(data)))


@pytest.mark.skipif(shutil.which("cjpeg") is None, reason="cjpeg (libjpeg-turbo-progs) is not installed")
def test_file_tables_are_those_of_luma_and_chroma_whatever_their_numbers(tmp_path):
    source = io.BytesIO()
    picture().convert("RGB").save(source, "PPM")

    def tables(*switches: str) -> np.ndarray:
        run = subprocess.run(["cjpeg", *switches], input=source.getvalue(), check=True, capture_output=True)
        return np.array(upload(tmp_path, run.stdout).file_tables)

    plain, exchanged = tables("-quality", "90,50"), tables("-quality", "90,50", "-qslots", "1,0")
    assert np.array_equal(exchanged, plain[::-1])
    assert tables("-quality", "90,50", "-rgb").size == 0  # red, green and blue have no luma


def test_a_film_behind_a_jpeg_and_a_thumbnail_in_it_are_no_passes(tmp_path):
    thumbnail = saved(picture(), "JPEG", progressive=True) * 12
    photo = saved(picture(), "JPEG", exif=b"Exif\0\0" + thumbnail[:60_000])
    result = upload(tmp_path, photo + b"\0\0\0\x18ftypmp42" + b"\xff\xda\x00\x08" * 5000)
    assert (result.format, result.image.size) == ("JPEG", picture().size)


def test_file_tables_keep_an_uneven_table_the_right_way_up(tmp_path):
    table = np.arange(1, 65).reshape(8, 8)
    data = saved(picture(), "JPEG", qtables=[table.ravel().tolist(), table.T.ravel().tolist()])
    assert np.array_equal(np.array(upload(tmp_path, data).file_tables), np.array([table, table.T]))


def test_a_grey_jpeg_has_one_table_and_three_equal_channels(tmp_path):
    result = upload(tmp_path, saved(picture(mode="L"), "JPEG"))
    channels = pixels(result.image)
    assert result.file_tables is not None
    assert len(result.file_tables) == 1
    assert np.array_equal(channels[..., 0], channels[..., 1])
    assert np.array_equal(channels[..., 0], channels[..., 2])


def test_a_cmyk_jpeg_keeps_its_colours_and_says_so(tmp_path):
    result = upload(tmp_path, saved(picture(mode="CMYK"), "JPEG", quality=100, subsampling=0))
    assert np.abs(pixels(result.image) - pixels(picture())).max() <= 12
    assert np.abs(pixels(result.image) - pixels(picture())).mean() < 2
    assert result.notes == ("Converted from CMYK.",)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    values = (np.arange(64 * 64, dtype=np.uint16) * 16).reshape(64, 64)
    values[-1, -1] = 65535
    result = upload(tmp_path, saved(Image.fromarray(values), "PNG"))
    assert np.array_equal(pixels(result.image)[..., 1], np.floor(values / 257 + 0.5))
    assert result.notes == ("16-bit values were scaled to 8 bits.",)


def test_16_bit_grey_with_a_transparent_value_shows_white_there(tmp_path):
    values = np.full((16, 16), 30000, dtype=">u2")
    values[:, :8] = 500
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = (png_chunk(b"tRNS", b"\x01\xf4"), png_chunk(b"IDAT", zlib.compress(rows)))
    result = upload(tmp_path, png(16, 16, *chunks, depth=16, colour=0))
    assert (pixels(result.image)[:, :8] == 255).all()
    assert (pixels(result.image)[:, 8:] == 117).all()


def test_16_bit_colour_is_scaled_within_one_level(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (16, 16, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = png(16, 16, png_chunk(b"IDAT", zlib.compress(rows)), depth=16, colour=2)
    result = upload(tmp_path, data)
    assert np.abs(pixels(result.image) - values.astype(float) / 257).max() <= 1
    assert result.notes == ("16-bit values were scaled to 8 bits.",)


def on_white(rgba: Image.Image) -> np.ndarray:
    values = np.asarray(rgba.convert("RGBA")).astype(float)
    alpha = values[..., 3:] / 255
    return values[..., :3] * alpha + 255 * (1 - alpha)


def half_transparent(mode: str) -> Image.Image:
    image = picture(32, 32).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((32, 32)))
    return image.convert(mode)


def palette_with_alpha() -> Image.Image:
    image = picture(32, 32).quantize(8)
    image.info["transparency"] = bytes([0, 64, 128, 255, 255, 255, 255, 255])
    return image


@pytest.mark.parametrize("image", [half_transparent("RGBA"), half_transparent("LA"), palette_with_alpha()])
def test_transparent_parts_are_shown_on_white(tmp_path, image):
    data = saved(image, "PNG")
    result = upload(tmp_path, data)
    assert np.abs(pixels(result.image) - on_white(Image.open(io.BytesIO(data)))).max() <= 1
    assert result.notes == ("Transparent parts are shown on white.",)


def test_an_opaque_alpha_channel_changes_nothing_and_is_not_mentioned(tmp_path):
    result = upload(tmp_path, saved(picture(mode="RGBA"), "PNG"))
    assert np.array_equal(pixels(result.image), pixels(picture()))
    assert result.notes == ()


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_pictures_without_colour_come_out_as_rgb(tmp_path, mode):
    image = picture().convert(mode)
    assert np.array_equal(pixels(upload(tmp_path, saved(image, "PNG")).image), pixels(image.convert("RGB")))


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_only_the_first_frame_of_an_animation_is_used(tmp_path, file_format, options):
    frames = [picture(), Image.new("RGB", picture().size, "red")]
    data = saved(frames[0], file_format, save_all=True, append_images=frames[1:], duration=100, **options)
    result = upload(tmp_path, data)
    assert np.array_equal(pixels(result.image), pixels(frames[0]))
    assert result.notes == ("Only the first frame of the animation is used.",)


def test_an_mpo_counts_as_a_jpeg_and_gives_its_first_picture(tmp_path):
    data = saved(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (48, 48), "red")])
    result = upload(tmp_path, data)
    assert result.format == "JPEG"
    assert np.array_equal(pixels(result.image), pixels(Image.open(io.BytesIO(saved(picture(), "JPEG")))))
    assert np.array_equal(np.array(result.file_tables), np.array(read_tables(data)))


def test_a_name_without_a_meaningful_extension_is_fine(tmp_path):
    assert upload(tmp_path, saved(picture(), "PNG"), name="söme <b>näme").format == "PNG"


# Refusals


@pytest.mark.parametrize("data", [b"", b"text", saved(picture(mode="P"), "GIF"), saved(picture(), "TIFF")])
def test_what_is_not_a_jpeg_png_or_webp_is_told_what_to_be(tmp_path, data):
    assert refusal(tmp_path, data) == uploads.NOT_A_PICTURE


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_half_a_picture_is_called_incomplete(tmp_path, file_format):
    data = saved(picture(), file_format)
    assert refusal(tmp_path, data[: len(data) // 2]).startswith("The picture is incomplete")


def test_a_file_over_the_byte_limit_is_refused_before_it_is_opened(tmp_path):
    data = saved(picture(), "PNG") + bytes(uploads.MAX_BYTES)
    assert refusal(tmp_path, data) == uploads.TOO_LARGE


def test_a_small_file_with_thousands_of_scans_is_refused_at_once(tmp_path):
    started = time.perf_counter()
    assert refusal(tmp_path, progressive_with_scans(5000)) == uploads.TOO_MANY_SCANS
    assert time.perf_counter() - started < SECONDS


def test_an_ordinary_progressive_jpeg_is_accepted(tmp_path):
    assert upload(tmp_path, saved(picture(), "JPEG", progressive=True)).format == "JPEG"


def test_scan_marker_bytes_in_a_png_mean_nothing(tmp_path):
    data = png(16, 16, png_chunk(b"tEXt", b"k\0" + b"\xff\xda" * 500), png_rows(16, 16))
    assert upload(tmp_path, data).format == "PNG"


def test_too_many_pixels_are_refused_without_being_decoded(tmp_path):
    data = png(9999, 9999, png_chunk(b"IDAT", zlib.compress(bytes(10**6))))
    tracemalloc.start()
    assert refusal(tmp_path, data) == uploads.TOO_MANY_PIXELS
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("size", [(7, 100), (100, 7), (1, 1), (10001, 8), (8, 10001)])
def test_sides_outside_the_limits_are_refused_with_the_size(tmp_path, size):
    message = refusal(tmp_path, saved(Image.new("L", size), "PNG"))
    assert f"{size[0]} × {size[1]}" in message


@pytest.mark.parametrize("size", [(8, 8), (10000, 8), (8, 10000)])
def test_sides_at_the_limits_are_accepted(tmp_path, size):
    assert upload(tmp_path, saved(Image.new("L", size), "PNG")).image.size == size


@pytest.mark.parametrize("path", [None, "", "no/such/file.png", ".", "zero\0byte.png", "x" * 5000])
def test_a_path_that_cannot_be_read_is_refused_like_a_bad_file(path):
    with pytest.raises(Refused):
        read_upload(path)


# Hostile files


def test_the_corpus_is_large_enough_and_has_no_file_twice():
    assert len(HOSTILE) >= 70
    assert len({name for name, _ in HOSTILE}) == len(HOSTILE)


def test_the_corpus_is_the_same_each_time():
    again = list(hostile_pictures())
    assert again == HOSTILE


class Ended(NamedTuple):
    """What a hostile file came to."""

    sentence: str  # of its refusal; empty for a picture
    format: str
    mode: str
    shape: tuple[int, ...]  # height, width, channels
    seconds: float


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Callable[[str], Ended]:
    """Reads a hostile file by its name, each once."""
    folder, files = tmp_path_factory.mktemp("hostile"), dict(HOSTILE)

    @cache
    def ended(name: str) -> Ended:
        started = time.perf_counter()
        try:
            result = upload(folder, files[name], name)
        except Refused as refused:
            return Ended(str(refused), "", "", (), time.perf_counter() - started)
        shape = np.asarray(result.image).shape
        return Ended("", result.format, result.image.mode, shape, time.perf_counter() - started)

    return ended


@pytest.mark.parametrize("name", [name for name, _ in HOSTILE])
def test_a_hostile_file_ends_soon_as_a_picture_or_as_one_sentence(ended, name):
    found = ended(name)
    if found.sentence:
        assert_one_plain_sentence(found.sentence, name)
    else:
        height, width, channels = found.shape
        assert (found.mode, channels) == ("RGB", 3)
        assert min(width, height) >= uploads.MIN_SIDE
        assert max(width, height) <= uploads.MAX_SIDE
        assert width * height <= uploads.MAX_PIXELS
        assert found.format in uploads.FORMATS
    assert found.seconds < SECONDS


def assert_one_plain_sentence(message: str, name: str) -> None:
    assert message.endswith(".")
    assert message.count(".") == 1
    assert len(message) < 250
    for leak in (name, "/", "\\", "Error", "Pillow", "PIL", "0x", "<", "None"):
        assert leak not in message


def test_the_corpus_leads_to_both_outcomes_and_to_every_reason(ended):
    sentences = [ended(name).sentence for name, _ in HOSTILE]
    assert sentences.count("") >= 20
    reasons = {uploads.NOT_A_PICTURE, uploads.BROKEN, uploads.TOO_LARGE}
    assert set(sentences) >= reasons | {uploads.TOO_MANY_SCANS, uploads.TOO_MANY_PIXELS}


def test_no_file_stays_open_after_good_or_bad_uploads(tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("open files are counted through /proc, which this system lacks")
    before = len(os.listdir(folder))
    for name, data in HOSTILE[::4]:
        try:
            upload(tmp_path, data, name)
        except Refused:
            continue
    assert len(os.listdir(folder)) <= before


def test_reading_uploads_leaves_pillows_global_settings_alone(tmp_path):
    def settings():
        return Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters[:]

    before = settings()
    upload(tmp_path, saved(picture(), "WEBP"))
    refusal(tmp_path, dict(HOSTILE)["bomb_20000.png"])
    assert settings() == before
