#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the README's picture: run gotop on scene.c's program in a real terminal, and draw what it shows.

usage: picture.py GOTOP SCENE OUT.svg
"""
import html
import re
import subprocess
import sys
import time

COLS, ROWS = 100, 30
CELL_W, CELL_H = 8.4, 18
COLOURS = ["#15181e", "#f2777a", "#8fce7e", "#f0c674", "#81a2e8", "#c695d6", "#70c0ba", "#d5d8de"]
FOREGROUND, BACKGROUND = "#d5d8de", "#15181e"


def capture(gotop, scene):
    """The screen's text with its escape sequences, after ten ticks."""
    program = subprocess.Popen([scene], stdout=subprocess.PIPE, text=True)
    tmux = ["tmux", "-L", "goro-picture"]
    try:
        pid = program.stdout.readline().strip()
        time.sleep(12)
        subprocess.run(tmux + ["-f", "/dev/null", "new-session", "-d", "-x", str(COLS), "-y",
                               str(ROWS), f"TERM=screen-256color {gotop} {pid}"], check=True)
        time.sleep(9.5)
        return subprocess.run(tmux + ["capture-pane", "-p", "-e", "-N"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
    finally:
        subprocess.run(tmux + ["kill-server"], stderr=subprocess.DEVNULL)
        program.kill()


def runs(line, pen):
    """Split a line into (text, pen) runs; pen is a dict that lives over lines."""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        match = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if not match:
            if part:
                yield part, dict(pen)
            continue
        for code in [int(c or 0) for c in match.group(1).split(";")]:
            if code == 0:
                pen.clear()
            elif code in (1, 2, 4, 7):
                pen[code] = True
            elif 30 <= code <= 37:
                pen["fg"] = COLOURS[code - 30]
            elif 40 <= code <= 47:
                pen["bg"] = COLOURS[code - 40]
            elif code == 39:
                pen.pop("fg", None)
            elif code == 49:
                pen.pop("bg", None)
            elif 90 <= code <= 97:
                pen["fg"] = COLOURS[code - 90]


def draw(screen):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLS * CELL_W + 24:.0f} '
           f'{ROWS * CELL_H + 24}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
           f'font-size="14"><title>gotop</title>',
           f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>']
    pen = {}
    for row, line in enumerate(screen.split("\n")[:ROWS]):
        col, y = 0, 12 + row * CELL_H
        for text, p in runs(line, pen):
            fg, bg = p.get("fg", FOREGROUND), p.get("bg")
            if p.get(7):
                fg, bg = bg or BACKGROUND, fg
            x, width = 12 + col * CELL_W, len(text) * CELL_W
            if bg:
                out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{CELL_H}" '
                           f'fill="{bg}"/>')
            style = ' font-weight="bold"' if p.get(1) else ""
            style += ' opacity="0.6"' if p.get(2) else ""
            if text.strip():
                out.append(f'<text x="{x:.1f}" y="{y + 14}" textLength="{width:.1f}" fill="{fg}"'
                           f'{style} xml:space="preserve">{html.escape(text)}</text>')
            col += len(text)
    return "\n".join(out + ["</svg>", ""])


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    gotop, scene, path = sys.argv[1:]
    with open(path, "w", encoding="utf-8") as f:
        f.write(draw(capture(gotop, scene)))


main()
