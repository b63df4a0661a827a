# SPDX-License-Identifier: MIT
"""picture.py SVG PNG - each box of the flame graph is in the browser's picture, in its place."""
import colorsys
import re
import struct
import sys
import zlib


def read_png(path):
    """Width, height, bytes of a pixel and the rows of a PNG file of 8 bits, not interlaced."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and colours in (2, 6) and not interlaced, "another kind of PNG"
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    step = 3 if colours == 2 else 4
    raw, size = zlib.decompress(packed), width * step
    rows, above = [], bytearray(size)
    for y in range(height):
        way, row = raw[y * (size + 1)], bytearray(raw[y * (size + 1) + 1:(y + 1) * (size + 1)])
        for i in range(size):
            left, up = row[i - step] if i >= step else 0, above[i]
            corner = above[i - step] if i >= step else 0
            if way == 4:
                guess = left + up - corner
                near = min((abs(guess - v), n, v)
                           for n, v in enumerate((left, up, corner)))
                row[i] = (row[i] + near[2]) & 255
            else:
                row[i] = (row[i] + (0, left, up, (left + up) // 2)[way]) & 255
        rows.append(row)
        above = row
    return width, height, step, rows


with open(sys.argv[1], encoding="utf-8") as file:
    boxes = re.findall(r'<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="\d+" rx="\d+" '
                       r'fill="hsl\((\d+),(\d+)%,(\d+)%\)"/>', file.read())
width, height, step, rows = read_png(sys.argv[2])
seen = set()
for x, y, wide, *hsl in boxes:
    if float(wide) < 8:
        continue
    # In the middle of its upper edge, where no text is.
    at, line = int(float(x) + float(wide) / 2), int(y) + 2
    assert at < width and line < height, "a box is not in the picture"
    hue, saturation, light = map(int, hsl)
    want = colorsys.hls_to_rgb(hue / 360, light / 100, saturation / 100)
    got = rows[line][at * step:at * step + 3]
    assert all(abs(g - w * 255) <= 3 for g, w in zip(got, want)), \
        "at %d,%d is %s, not %s" % (at, line, tuple(got), [round(w * 255) for w in want])
    seen.add(tuple(got))
assert len(seen) >= 5, "hardly a picture: %d colours" % len(seen)
