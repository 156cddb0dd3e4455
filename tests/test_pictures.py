"""From a file to pixels: one way for training, random test pictures, evaluation and uploads, whatever the file is."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from jpegdl.pairs.cores import cpu_cores, group_share
from jpegdl.pairs.pictures import Member, Unreadable, read_picture
from jpegdl.server.uploads import read_upload
from jpegdl.training import imagenet
from jpegdl.training.data import Examples, prepared_tensors, training_tensors
from jpegdl.training.draws import make_draw
from jpegdl.training.imagenet import PreparedStream
from tests.hostile import png, png_chunk, saved
from tests.test_uploads import EXIF_TURNS

SIDE = 32  # pixels: a square of the size that every way asks for, so that none has to scale
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
GREY = RNG.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
ALPHA = RNG.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
DEEP = RNG.integers(0, 65536, (SIDE, SIDE, 3)).astype(">u2")
FLAT = (180, 40, 90)

Pixels = NDArray[np.float64]


def on_white(values: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Pixels:
    return (values * (alpha / 255)[..., None] + 255 * (1 - alpha / 255)[..., None]).astype(float)


def three(grey: NDArray[np.generic]) -> Pixels:
    return np.repeat(grey[..., None].astype(float), 3, -1)


def raw_png(values: NDArray[np.generic], colour: int, depth: int = 16, *chunks: bytes) -> bytes:
    """A PNG file of rows of big-endian values, written here, since Pillow writes no 16-bit colour."""
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return png(SIDE, SIDE, *chunks, png_chunk(b"IDAT", zlib.compress(rows)), depth=depth, colour=colour)


def turned(orientation: int, file_format: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(COLOUR), file_format, exif=exif, **options)


def paletted() -> Image.Image:
    """256 colours, of which some are transparent and some half."""
    image = Image.fromarray(GREY).convert("P")
    image.putpalette(RNG.integers(0, 256, 768).astype(np.uint8).tobytes())
    return image


def odd_files() -> dict[str, tuple[bytes, Pixels, float]]:
    """Name -> file, the pixels that it shows, and by how many levels a decoder may round."""
    rgb, grey = Image.fromarray(COLOUR), Image.fromarray(GREY)
    palette = paletted()
    colours = np.array(palette.getpalette()).reshape(256, 3)[GREY].astype(np.uint8)
    transparency = np.arange(256, dtype=np.uint8)[::-1]
    one_bit = np.where(GREY > 127, 255, 0).astype(np.uint8)
    keyed = np.where(np.arange(SIDE * SIDE).reshape(SIDE, SIDE, 1) % 3 == 0, np.array(FLAT, np.uint8), COLOUR)
    is_key = (keyed == FLAT).all(-1)
    second = Image.fromarray(255 - COLOUR)
    frames = {"save_all": True, "append_images": [second], "duration": 100}
    photograph = Image.new("RGB", (SIDE, SIDE), FLAT)
    cmyk = Image.fromarray(np.full((SIDE, SIDE, 4), (0, 200, 100, 30), np.uint8), "CMYK")
    inks = np.full((SIDE, SIDE, 3), [(255 - ink) * (255 - 30) / 255 for ink in (0, 200, 100)])
    one_key = int(DEEP[0, 0, 0])
    deep_key = tuple(int(value) for value in DEEP[0, 0])
    made: dict[str, tuple[bytes, Pixels, float]] = {
        "grey 16 bits": (raw_png(DEEP[..., 0], 0), three(DEEP[..., 0] / 257), 1),
        "grey 16 bits, one value transparent": (
            raw_png(DEEP[..., 0], 0, 16, png_chunk(b"tRNS", struct.pack(">H", one_key))),
            three(np.where(DEEP[..., 0] == one_key, 255, DEEP[..., 0] / 257)),
            1,
        ),
        "colour 16 bits": (raw_png(DEEP, 2), DEEP / 257, 1),
        "colour 16 bits, one value transparent": (
            raw_png(DEEP, 2, 16, png_chunk(b"tRNS", struct.pack(">HHH", *deep_key))),
            np.where((DEEP[0, 0] == DEEP).all(-1, keepdims=True), 255, DEEP / 257),
            1,
        ),
        "grey": (saved(grey, "PNG"), three(GREY), 0),
        "one bit": (saved(Image.fromarray(one_bit).convert("1"), "PNG"), three(one_bit), 0),
        "palette": (saved(palette, "PNG"), colours.astype(float), 0),
        "palette, transparent": (
            saved(palette, "PNG", transparency=transparency.tobytes()),
            on_white(colours, transparency[GREY]),
            1,
        ),
        "grey with alpha": (
            saved(Image.merge("LA", [grey, Image.fromarray(ALPHA)]), "PNG"),
            on_white(np.repeat(GREY[..., None], 3, -1), ALPHA),
            1,
        ),
        "colour with alpha": (
            saved(Image.merge("RGBA", [*rgb.split(), Image.fromarray(ALPHA)]), "PNG"),
            on_white(COLOUR, ALPHA),
            1,
        ),
        "one grey transparent": (
            saved(grey, "PNG", transparency=int(GREY[0, 0])),
            three(np.where(GREY[0, 0] == GREY, 255, GREY)),
            0,
        ),
        "one colour transparent": (
            saved(Image.fromarray(keyed), "PNG", transparency=FLAT),
            np.where(is_key[..., None], 255.0, keyed),
            0,
        ),
        "WebP with alpha": (
            saved(Image.merge("RGBA", [*rgb.split(), Image.fromarray(ALPHA)]), "WEBP", lossless=True, exact=True),
            on_white(COLOUR, ALPHA),
            1,
        ),
        "CMYK": (saved(cmyk, "JPEG", quality=100), inks, 3),
        "animated PNG": (saved(rgb, "PNG", **frames), COLOUR.astype(float), 0),
        "animated WebP": (saved(rgb, "WEBP", lossless=True, **frames), COLOUR.astype(float), 0),
        "MPO": (
            saved(photograph, "MPO", quality=100, save_all=True, append_images=[second]),
            np.full((SIDE, SIDE, 3), FLAT, float),
            2,
        ),
    }
    for orientation, turn in EXIF_TURNS.items():
        shown = turn(COLOUR).astype(float)
        made[f"PNG, EXIF {orientation}"] = (turned(orientation, "PNG"), shown, 0)
        made[f"WebP, EXIF {orientation}"] = (turned(orientation, "WEBP", lossless=True), shown, 0)
    return made


ODD = odd_files()


# Each of the ways in which a file becomes pixels: path -> (SIDE, SIDE, 3) uint8.


def in_training(path: Path) -> NDArray[np.uint8]:
    return training_tensors(Examples((path,), (0,)), SIDE).images[0].permute(1, 2, 0).numpy()


def in_training_from_disk(path: Path) -> NDArray[np.uint8]:
    unmirrored = 1  # a seed
    crop, _ = imagenet._Crops(Examples((path,), (0,)), SIDE)[0, unmirrored]
    return crop.permute(1, 2, 0).numpy()


def in_evaluation(path: Path) -> NDArray[np.uint8]:
    return prepared_tensors(Examples((path,), (0,)), SIDE, SIDE).images[0].permute(1, 2, 0).numpy()


def in_evaluation_from_disk(path: Path) -> NDArray[np.uint8]:
    ((images, _),) = PreparedStream(Examples((path,), (0,)), SIDE, SIDE, 0).batches()
    return images[0].permute(1, 2, 0).numpy()


def in_an_archive(path: Path) -> NDArray[np.uint8]:
    examples = Examples((Member(path.name, path.read_bytes()),), (0,))
    return prepared_tensors(examples, SIDE, SIDE).images[0].permute(1, 2, 0).numpy()


def drawn(path: Path) -> NDArray[np.uint8]:
    root = path.parent / "set"
    for part in ("train", "test"):
        for label in ("a", "b"):
            (root / part / label).mkdir(parents=True, exist_ok=True)
            for number in range(2):
                (root / part / label / f"{number}.png").write_bytes(path.read_bytes())
    return np.asarray(make_draw("imagefolder", root)(0)[0])


def uploaded(path: Path) -> NDArray[np.uint8]:
    return np.asarray(read_upload(path).image)


WAYS: tuple[Callable[[Path], NDArray[np.uint8]], ...] = (
    *(in_training, in_training_from_disk, in_evaluation, in_evaluation_from_disk),
    *(in_an_archive, drawn, uploaded),
)


@pytest.mark.parametrize("name", ODD)
def test_every_way_shows_the_same_pixels_of_an_odd_file(tmp_path, monkeypatch, name):
    whole = torch.tensor([[0, 0, SIDE, SIDE]])
    monkeypatch.setattr(imagenet, "random_crops", lambda shapes, _: whole.expand(len(shapes), 4))
    data, expected, rounding = ODD[name]
    path = tmp_path / "picture"
    path.write_bytes(data)
    first, *others = (way(path) for way in WAYS)
    assert np.abs(first - expected).max() <= rounding
    for way, pixels in zip(WAYS[1:], others, strict=True):
        assert np.array_equal(pixels, first), way.__name__


def test_the_geometry_of_crops_is_that_of_the_turned_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(saved(Image.new("RGB", (40, 24)), "JPEG", exif=exif))
    assert training_tensors(Examples((tmp_path / "a.jpg",), (0,))).shapes.tolist() == [[40, 24]]


def test_notes_say_what_was_done_in_the_order_of_the_work():
    image = Image.merge("RGBA", [*Image.fromarray(COLOUR).split(), Image.fromarray(ALPHA)])
    exif = Image.Exif()
    exif[0x0112] = 3
    frames = {"save_all": True, "append_images": [image.rotate(90)], "duration": 100}
    assert read_picture(saved(image, "WEBP", lossless=True, exif=exif, **frames)).notes == (
        "Only the first frame of the animation is used.",
        "Transparent parts are shown on white.",
        "Turned according to its EXIF orientation.",
    )
    assert read_picture(saved(Image.fromarray(COLOUR), "PNG")).notes == ()


@pytest.mark.parametrize("cut", [20, -200])
@pytest.mark.parametrize("inside", [False, True])
def test_what_cannot_be_decoded_is_named_in_one_sentence(tmp_path, cut, inside):
    path = tmp_path / "rose.png"
    path.write_bytes(saved(Image.fromarray(COLOUR), "PNG")[:cut])
    item = Member("flowers.tar: 03/rose.png", path.read_bytes()) if inside else path
    name = "flowers.tar: 03/rose.png" if inside else str(path)
    with pytest.raises(Unreadable) as caught:
        read_picture(item)
    said = str(caught.value)
    assert said.startswith(f"{name} cannot be decoded as a picture")
    assert said.endswith("; restore or remove it")
    assert "\n" not in said
    assert "object at" not in said


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer, not the file itself"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page, not the file itself"),
    ],
)
def test_what_people_have_in_place_of_a_picture_is_called_by_its_name(tmp_path, data, sentence):
    (tmp_path / "rose.jpg").write_bytes(data)
    with pytest.raises(Unreadable) as caught:
        read_picture(tmp_path / "rose.jpg")
    assert str(caught.value).startswith(f"{tmp_path}/rose.jpg {sentence}")


def test_values_that_are_no_picture_are_refused():
    for values in (COLOUR.astype(float), GREY, COLOUR[..., :2]):
        with pytest.raises(ValueError, match=r"must be uint8 \(height, width, 3\), got"):
            read_picture(values)


def test_a_picture_carries_no_metadata_on():
    exif = Image.Exif()
    exif[0x010E] = "a secret"
    file = saved(Image.fromarray(COLOUR), "JPEG", exif=exif, comment=b"a secret")
    picture = read_picture(file).image
    again = io.BytesIO()
    picture.save(again, "JPEG")
    assert b"secret" not in again.getvalue()
    assert picture.info == {}


# Cores


def test_cores_are_those_that_the_scheduler_gives(monkeypatch):
    monkeypatch.delenv("CPU_CORES", raising=False)
    monkeypatch.setattr("jpegdl.pairs.cores.group_share", lambda: float("inf"))
    for given in ({3}, {0, 5, 7}):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, given=given: given, raising=False)
        assert cpu_cores() == len(given)


def test_cores_are_no_more_than_the_control_groups_share(monkeypatch):
    monkeypatch.delenv("CPU_CORES", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    for share, cores in ((2.0, 2), (2.5, 2), (0.5, 1), (100.0, 64)):
        monkeypatch.setattr("jpegdl.pairs.cores.group_share", lambda share=share: share)
        assert cpu_cores() == cores


def test_a_space_tells_its_cores(monkeypatch):
    monkeypatch.setattr("jpegdl.pairs.cores.group_share", lambda: 4.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    for told, cores in (("2", 2), ("0", 1), ("many", 4), ("", 4)):
        monkeypatch.setenv("CPU_CORES", told)
        assert cpu_cores() == cores


@pytest.mark.parametrize(
    ("files", "own", "share"),
    [
        ({}, "", float("inf")),
        ({"cpu.max": "max 100000"}, "0::/", float("inf")),
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, "0::/a/b", 2.0),  # a parent's counts
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/", 3.0),
        ({"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, "4:cpuacct,cpu:/x", float("inf")),
        ({"cpu.max": "nonsense"}, "0::/", float("inf")),
    ],
)
def test_the_share_of_a_control_group_is_read_in_both_versions(tmp_path, files, own, share):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "own").write_text(own, encoding="utf-8")
    assert group_share(tmp_path, tmp_path / "own") == share


@pytest.mark.parametrize(("depth", "key", "other"), [(1, 0, 1), (2, 1, 2), (2, 0, 3), (4, 5, 9), (4, 15, 0)])
def test_a_transparent_grey_of_few_bits_lies_on_white(depth, key, other):
    row = np.array([key] * 8 + [other] * 8, np.uint8)
    bits = np.unpackbits(row[:, None], axis=1)[:, -depth:].ravel()
    header = struct.pack(">IIBBBBB", 16, 16, depth, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + np.packbits(bits).tobytes()) * 16)
    chunks = [(b"IHDR", header), (b"tRNS", struct.pack(">H", key)), (b"IDAT", pixels), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    found = read_picture(data)
    grey = other * 255 // (2**depth - 1)
    assert np.asarray(found.image)[0, [0, 12]].tolist() == [[255] * 3, [grey] * 3]
    assert found.notes == ("Transparent parts are shown on white.",)
