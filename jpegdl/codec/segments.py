"""What a JPEG file says of itself, read from its bytes: its segments, its scans, the tables of its components.

Walks from segment to segment as a decoder does (ITU-T T.81, annex B), so metadata, thumbnails and whatever follows the
picture (a second picture, a film) are passed over. Nothing is decoded, and no byte is read twice.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Not a marker: FF 00 (coded data), FF FF (fill), and those without a length: restarts and TEM.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_START, _END, _SCAN, _TABLES, _JFIF, _ADOBE = 0xD8, 0xD9, 0xDA, 0xDB, 0xE0, 0xEE
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # these three are other segments


def _zigzag() -> NDArray[np.int64]:
    """(64,) row-major index of each entry, in the order of a file (ITU-T T.81, figure 5)."""
    cells = [(row, column) for row in range(8) for column in range(8)]
    cells.sort(key=lambda cell: (sum(cell), cell[sum(cell) % 2 == 0]))
    return np.array([8 * row + column for row, column in cells])


ZIGZAG = _zigzag()


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, payload) of each segment of a JPEG file's picture, to its end or to where the file is cut off.

    Raises ValueError for other files.
    """
    if not data.startswith(b"\xff\xd8"):
        raise ValueError(f"not a JPEG file: it starts with {data[:4]!r} instead of FF D8; give a .jpg file's bytes")
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        length = int.from_bytes(data[at : at + 2], "big")
        if marker in (_START, _END) or length < 2 or at + length > len(data):
            return
        yield marker, data[at + 2 : at + length]
        at += length


def count_scans(data: bytes) -> int:
    """How many times a decoder passes over the picture: 1 for an ordinary JPEG, about ten for a progressive one."""
    return sum(marker == _SCAN for marker, _ in segments(data))


def tables_by_number(data: bytes) -> dict[int, NDArray[np.int64]]:
    """The quantization tables (8, 8) before the first scan; row = vertical frequency.

    Raises ValueError if the file has no scan or a table is cut off.
    """
    tables: dict[int, NDArray[np.int64]] = {}
    for marker, payload in segments(data):
        if marker == _SCAN:
            return tables
        if marker == _TABLES:
            tables |= _read_tables(payload)
    raise ValueError(f"the JPEG header ends after {len(data)} bytes, before any picture data; use a complete file")


def tables_by_component(data: bytes) -> dict[str, NDArray[np.int64]]:
    """The table (8, 8) that each component is stored with, row = vertical frequency, by the component's name.

    Names are those of the colours that a decoder takes it for: Y, Cb, Cr; R, G, B; C, M, Y, K; Y, Cb, Cr, K; grey, or
    "component 1" and so on. A component that no scan shows, or whose table is missing, is left out. Raises ValueError
    if a table is cut off.
    """
    seen: set[int] = set()  # markers
    transform: int | None = None  # as Adobe's segment says
    tables: dict[int, NDArray[np.int64]] = {}
    numbers: dict[int, int] = {}  # component -> table, in the frame's order
    latched: dict[int, NDArray[np.int64]] = {}  # a component keeps the table that stands when its first scan begins
    for marker, payload in segments(data):
        if marker == _TABLES:
            tables |= _read_tables(payload)
        elif marker == _ADOBE and payload.startswith(b"Adobe") and len(payload) >= 12:
            transform = payload[11]
        elif marker in _FRAMES and not numbers:
            parts = [payload[at : at + 3] for at in range(6, len(payload) - 2, 3)]
            numbers = {part[0]: part[2] for part in parts}
        elif marker == _SCAN and payload:
            shown = payload[1 : 1 + 2 * payload[0] : 2]
            latched |= {c: tables[numbers[c]] for c in shown if c not in latched and numbers.get(c) in tables}
        if marker != _JFIF or payload.startswith(b"JFIF\0"):
            seen.add(marker)
        if len(latched) == len(numbers) > 0:
            break
    names = _names(tuple(numbers), _JFIF in seen, transform)
    return {name: latched[c] for c, name in zip(numbers, names, strict=True) if c in latched}


def _read_tables(payload: bytes) -> dict[int, NDArray[np.int64]]:
    """The tables of one segment, 8-bit or 16-bit, by number."""
    found = {}
    while payload:
        precision, number = payload[0] >> 4, payload[0] & 15
        entries = np.frombuffer(payload[1 : 65 + 64 * precision], dtype=">u2" if precision else "u1")
        if precision > 1 or len(entries) != 64:
            raise ValueError("a quantization table is cut off or has an unknown precision; use a complete file")
        table = np.empty(64, dtype=np.int64)
        table[ZIGZAG] = entries
        found[number] = table.reshape(8, 8)
        payload = payload[65 + 64 * precision :]
    return found


def _names(components: tuple[int, ...], jfif: bool, transform: int | None) -> tuple[str, ...]:
    """What libjpeg takes components for: by JFIF's segment, then by Adobe's, then by their numbers."""
    if len(components) == 1:
        return ("grey",)
    if len(components) == 3:
        red_green_blue = transform == 0 if transform is not None else components == (ord("R"), ord("G"), ord("B"))
        return ("R", "G", "B") if red_green_blue and not jfif else ("Y", "Cb", "Cr")
    if len(components) == 4:
        return ("Y", "Cb", "Cr", "K") if transform == 2 else ("C", "M", "Y", "K")
    return tuple(f"component {number}" for number in range(1, len(components) + 1))
