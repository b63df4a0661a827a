# SPDX-License-Identifier: MIT
"""picture.py SVG PPM - each box of the flame graph is in the browser's picture, in its place."""
import colorsys
import re
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    boxes = re.findall(r'<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="\d+" rx="\d+" '
                       r'fill="hsl\((\d+),(\d+)%,(\d+)%\)"/>', file.read())
with open(sys.argv[2], "rb") as file:
    data = file.read()
head = re.match(rb"P6\s(\d+)\s(\d+)\s255\s", data)
assert head, "another kind of picture"
width, height, pixels = int(head[1]), int(head[2]), data[head.end():]
seen = set()
for x, y, wide, *hsl in boxes:
    if float(wide) < 8:
        continue
    # In the middle of its upper edge, where no text is.
    at, line = int(float(x) + float(wide) / 2), int(y) + 2
    assert at < width and line < height, "a box is not in the picture"
    hue, saturation, light = map(int, hsl)
    want = colorsys.hls_to_rgb(hue / 360, light / 100, saturation / 100)
    got = tuple(pixels[(line * width + at) * 3:][:3])
    assert all(abs(g - w * 255) <= 3 for g, w in zip(got, want)), \
        "at %d,%d is %s, not %s" % (at, line, got, [round(w * 255) for w in want])
    seen.add(got)
assert len(seen) >= 5, "hardly a picture: %d colours" % len(seen)
