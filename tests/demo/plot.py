"""A small picture, made here: a diffraction-like plot as PNG bytes."""

import math
import struct
import zlib

WIDTH, HEIGHT = 240, 120


def plot() -> bytes:
    """A grey-scale PNG of some peaks."""
    curve = [_intensity(x / WIDTH) for x in range(WIDTH)]
    rows = bytearray()
    for y in range(HEIGHT):
        level = 1 - y / HEIGHT
        rows.append(0)  # filter type: none
        rows += bytes(40 if level <= height else 235 for height in curve)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _intensity(x: float) -> float:
    peaks = [(0.2, 0.9), (0.45, 0.5), (0.7, 0.7), (0.85, 0.3)]
    return 0.05 + sum(size * math.exp(-(((x - place) / 0.02) ** 2)) for place, size in peaks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
