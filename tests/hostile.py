"""Files that a visitor should never send, made here: small, the same each time, pictures of nothing."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def hostile_pictures() -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each file; the name carries the extension that it claims."""
    yield from _not_pictures()
    yield from _other_formats()
    yield from _cut_off()
    yield from _flipped()
    yield from _strange_pngs()
    yield from _strange_jpegs()
    yield from _strange_webps()
    yield from _polyglots()


def picture(width: int = 96, height: int = 72, mode: str = "RGB") -> Image.Image:
    """A smooth picture with some noise, so that every coder has something to do."""
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 24, (height, width, 3))
    smooth = np.stack([rows * 2, columns * 2, rows + columns], axis=-1)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).convert(mode)


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG_MAGIC + png_chunk(b"IHDR", header) + b"".join(chunks) + png_chunk(b"IEND", b"")


def png_rows(width: int, height: int, channels: int = 3) -> bytes:
    return png_chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * width * channels) * height, 9))


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def progressive_with_scans(scans: int, side: int = 64) -> bytes:
    """A progressive JPEG whose last scan stands there `scans` times: each one costs the decoder a pass."""
    jpeg = saved(picture(side, side), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * scans + b"\xff\xd9"


def _not_pictures() -> Iterator[tuple[str, bytes]]:
    yield "empty.jpg", b""
    yield "one_byte.png", b"\xff"
    yield "text.jpg", b"This is not a picture.\n" * 40
    yield "zeros.png", bytes(4096)
    yield "noise.webp", np.random.default_rng(1).bytes(4096)
    yield "page.png", b"<!DOCTYPE html><html><script>alert(1)</script></html>"
    yield "drawing.jpg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    yield "paper.jpg", b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\ntrailer << >>\n%%EOF"
    yield "postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\nshowpage\n"
    yield "archive.png", b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)
    yield "program.jpg", b"\x7fELF\x02\x01\x01" + bytes(57)
    yield "pickle.png", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os."
    yield "large.jpg", b"\xff\xd8\xff" + bytes(10 * 1024 * 1024)
    yield "magic_jpeg.jpg", b"\xff\xd8\xff"
    yield "magic_png.png", PNG_MAGIC
    yield "magic_webp.webp", b"RIFF\x04\x00\x00\x00WEBP"
    yield "other_riff.webp", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(24)


def _other_formats() -> Iterator[tuple[str, bytes]]:
    small = picture(32, 24)
    for file_format in (
        "GIF",
        "BMP",
        "TIFF",
        "ICO",
        "PPM",
        "TGA",
        "PCX",
        "SGI",
        "DDS",
        "ICNS",
        "JPEG2000",
        "IM",
    ):
        image = small.convert("P") if file_format == "GIF" else small
        yield f"{file_format.lower()}.jpg", saved(image, file_format)
    yield "heic.jpg", struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(64)
    yield "avif.png", struct.pack(">I", 24) + b"ftypavif\0\0\0\0mif1avif" + bytes(64)
    yield "photoshop.jpg", b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(32)
    yield "mpeg.jpg", b"\x00\x00\x01\xb3" + bytes(64)


def _cut_off() -> Iterator[tuple[str, bytes]]:
    files = {
        "jpg": saved(picture(), "JPEG"),
        "png": saved(picture(), "PNG"),
        "webp": saved(picture(), "WEBP"),
    }
    for extension, data in files.items():
        for kept in (4, 20, 40, len(data) // 4, len(data) // 2, len(data) - 200, len(data) - 1):
            yield f"cut_to_{kept}.{extension}", data[:kept]
    for progress in (3, 9):
        progressive = saved(picture(), "JPEG", progressive=True)
        yield f"cut_progressive_{progress}.jpg", progressive[: len(progressive) * progress // 10]


def _flipped() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(2)
    for extension, file_format in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
        good = saved(picture(), file_format)
        for number in range(8):
            data = bytearray(good)
            for at in rng.integers(2, 200 if number < 5 else len(good), 3):
                data[at] ^= 1 << rng.integers(8)
            yield f"flipped_{number}.{extension}", bytes(data)


def _strange_pngs() -> Iterator[tuple[str, bytes]]:
    yield "huge_header.png", png(2**31 - 1, 2**31 - 1, png_chunk(b"IDAT", zlib.compress(b"\0")))
    yield "zero_size.png", png(0, 0, png_chunk(b"IDAT", zlib.compress(b"")))
    yield (
        "bomb_20000.png",
        png(20000, 20000, png_chunk(b"IDAT", zlib.compress(bytes(2500 * 20000), 9)), depth=1, colour=0),
    )
    yield "warned_12000.png", png(12000, 12000, png_chunk(b"IDAT", zlib.compress(bytes(9**6))))
    yield "bomb_in_idat.png", png(16, 16, png_chunk(b"IDAT", zlib.compress(bytes(2**26), 9)))
    yield "largest_allowed.png", png(5000, 5000, png_rows(5000, 5000, 1), colour=0)
    yield "one_pixel.png", png(1, 1, png_rows(1, 1))
    yield "one_column.png", png(1, 20000, png_rows(1, 20000))
    yield "too_wide.png", png(10001, 9, png_rows(10001, 9))
    yield "no_data.png", png(16, 16)
    yield "little_data.png", png(64, 64, png_rows(64, 3))
    yield "bad_zlib.png", png(16, 16, png_chunk(b"IDAT", b"\x78\x9c" + b"\xff" * 40))
    yield "bad_crc.png", saved(picture(), "PNG")[:-16] + b"\0\0\0\0" + png_chunk(b"IEND", b"")
    yield "unknown_colour.png", png(16, 16, png_rows(16, 16), colour=5)
    yield "depth_3.png", png(16, 16, png_rows(16, 16), depth=3)
    yield "palette_missing.png", png(16, 16, png_rows(16, 16, 1), colour=3)
    yield "lying_length.png", png(16, 16, struct.pack(">I", 2**31) + b"IDAT" + bytes(64))
    yield (
        "colour_profile.png",
        png(16, 16, png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2**25), 9)), png_rows(16, 16)),
    )
    yield (
        "text_bomb.png",
        png(16, 16, png_chunk(b"zTXt", b"c\0\0" + zlib.compress(bytes(2**25), 9)), png_rows(16, 16)),
    )
    many = b"".join(png_chunk(b"tEXt", b"k\0<script>alert(1)</script>") for _ in range(2000))
    yield "many_texts.png", png(16, 16, many, png_rows(16, 16))
    yield "garbage_exif.png", png(16, 16, png_chunk(b"eXIf", b"II*\0" + b"\xff" * 60), png_rows(16, 16))
    frames = png_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    control = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 10, 0, 0))
    yield "lying_frames.png", png(16, 16, frames, control, png_rows(16, 16))
    outside = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 2**30, 2**30, 1, 10, 0, 0))
    yield "frame_outside.png", png(16, 16, frames, outside, png_rows(16, 16))
    yield "short_transparency.png", png(16, 16, png_chunk(b"tRNS", b"\0"), png_rows(16, 16))


def _strange_jpegs() -> Iterator[tuple[str, bytes]]:
    good = saved(picture(), "JPEG")
    frame = good.index(b"\xff\xc0")
    yield "many_scans.jpg", progressive_with_scans(3000)
    yield "hundred_scans.jpg", progressive_with_scans(90)
    yield "scan_markers_only.jpg", good[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 500 + b"\xff\xd9"
    for width, height in ((65500, 65500), (0, 0), (1, 1), (1, 20000), (9000, 9)):
        size = struct.pack(">HH", height, width)
        yield f"says_{width}x{height}.jpg", good[: frame + 5] + size + good[frame + 9 :]
    yield "depth_12.jpg", good[: frame + 4] + b"\x0c" + good[frame + 5 :]
    yield "components_9.jpg", good[: frame + 9] + b"\x09" + good[frame + 10 :]
    yield "no_tables.jpg", good.replace(b"\xff\xdb", b"\xff\xef")
    yield "no_huffman.jpg", good.replace(b"\xff\xc4", b"\xff\xef")
    yield "arithmetic.jpg", good.replace(b"\xff\xc0", b"\xff\xc9")
    yield "lossless.jpg", good.replace(b"\xff\xc0", b"\xff\xc3")
    yield "lying_segment.jpg", good[:4] + b"\xff\xff" + good[6:]
    yield "length_zero.jpg", with_segments(good, b"\xff\xe1\x00\x00")
    yield "garbage_exif.jpg", with_segments(good, jpeg_segment(0xE1, b"Exif\0\0" + b"\xde\xad" * 50))
    loop = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    yield "looping_exif.jpg", with_segments(good, jpeg_segment(0xE1, loop))
    turned = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0"
    yield "orientation_99.jpg", with_segments(good, jpeg_segment(0xE1, turned))
    yield (
        "nested_thumbnail.jpg",
        with_segments(good, jpeg_segment(0xE1, b"Exif\0\0" + good[:4000] + good[:4000])),
    )
    profile = jpeg_segment(0xE2, b"ICC_PROFILE\0\x01\xff" + bytes(60000))
    yield "many_profiles.jpg", with_segments(good, *[profile] * 100)
    yield "script_comment.jpg", with_segments(good, jpeg_segment(0xFE, b"<script>alert(1)</script>"))
    yield "many_comments.jpg", with_segments(good, *[jpeg_segment(0xFE, b"x")] * 20000)
    yield "broken_mpo.jpg", with_segments(good, jpeg_segment(0xE2, b"MPF\0MM\0*\0\0\0\x08" + b"\xff" * 40))
    mpo = saved(picture(), "MPO", save_all=True, append_images=[picture(48, 48)])
    yield "cut_mpo.jpg", mpo[: len(good) + 300]
    yield "adobe_cmyk.jpg", saved(picture(mode="CMYK"), "JPEG")
    yield "adobe_lies.jpg", with_segments(good, jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\x02"))
    yield (
        "photoshop_block.jpg",
        with_segments(good, jpeg_segment(0xED, b"Photoshop 3.0\0" + b"8BIM\xff\xff" * 9)),
    )
    yield "wide_tables.jpg", good.replace(b"\xff\xdb\x00\x43\x00", b"\xff\xdb\x00\x43\x10")
    yield "restart_markers.jpg", good[:-2] + b"\xff\xd0" * 5000 + b"\xff\xd9"
    yield "two_pictures.jpg", good + good


def _strange_webps() -> Iterator[tuple[str, bytes]]:
    vp8 = saved(picture(16, 16), "WEBP")[12:]
    lossless = saved(picture(16, 16), "WEBP", lossless=True)[12:]

    def canvas(width: int, height: int, flags: int = 0) -> bytes:
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size)

    place = bytes(6) + (15).to_bytes(3, "little") * 2 + (100).to_bytes(3, "little") + b"\0"
    frame = webp_chunk(b"ANMF", place + vp8)
    start = webp_chunk(b"ANIM", bytes(6))
    yield "lying_size_small.webp", webp(vp8, size=8)
    yield "lying_size_large.webp", webp(vp8, size=2**32 - 10)
    yield "lying_chunk.webp", webp(vp8[:4] + struct.pack("<I", 2**31) + vp8[8:])
    yield "huge_canvas.webp", webp(canvas(16383, 16383, 2), start, frame)
    yield "warned_canvas.webp", webp(canvas(10000, 10000, 2), start, frame)
    yield "impossible_canvas.webp", webp(canvas(2**24, 2**24), vp8)
    yield "canvas_lies.webp", webp(canvas(64, 64), vp8)
    yield "frame_outside.webp", webp(canvas(8, 8, 2), start, frame)
    yield "many_frames.webp", webp(canvas(16, 16, 2), start, *[frame] * 2000)
    yield "no_frame.webp", webp(canvas(16, 16, 2), start)
    yield "lossless_noise.webp", webp(lossless[:12] + np.random.default_rng(3).bytes(len(lossless) - 12))
    yield "exif_garbage.webp", webp(canvas(16, 16, 8), vp8, webp_chunk(b"EXIF", b"\xff" * 99))
    yield "alpha_garbage.webp", webp(canvas(16, 16, 16), webp_chunk(b"ALPH", b"\x01" * 50), vp8)


def _polyglots() -> Iterator[tuple[str, bytes]]:
    jpeg, png_file = saved(picture(32, 32), "JPEG"), saved(picture(32, 32), "PNG")
    yield "jpeg_then_zip.jpg", jpeg + b"PK\x03\x04" + bytes(100)
    yield "jpeg_then_page.html", jpeg + b"<script>alert(1)</script>"
    yield "png_then_jpeg.png", png_file + jpeg
    yield "jpeg_in_png_clothes.png", PNG_MAGIC + jpeg
    yield "png_in_jpeg_clothes.jpg", b"\xff\xd8\xff" + png_file
    yield "page_in_jpeg.jpg", with_segments(jpeg, jpeg_segment(0xE0, b"*/=1;alert(1);/*" * 30))
    yield "gif_and_jpeg.jpg", b"GIF89a" + jpeg
