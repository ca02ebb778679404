# SPDX-License-Identifier: BSD-3-Clause
"""page.py: looks at a page of `uvfio report`.

page.py data PAGE: what is in it, without a browser; page.py script PAGE: its script, on stdout;
page.py parts DOM PICTURE [DOM PICTURE]: the parts of it are there in a picture of Chromium's, and
in a second one, of another part of the time, the time line alone is another.
"""
import json
import re
import struct
import sys
import zlib


def data(path):
    text = open(path).read()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    page = json.loads(found.group(1))
    rest = text.replace(found.group(1), "")
    assert "@DATA@" not in text
    assert not re.search(r'\b(src|href)=|https?://|@import|url\(', rest), "it needs something else"
    assert page["total"] == len(page["events"]) > 20
    for time, length, kind, track, what in page["events"]:
        assert 0 <= time <= page["span"] and length >= 0 and what
        assert 0 <= kind < len(page["kinds"]) and 0 <= track < len(page["tracks"])
    names = [h["name"] for h in page["histograms"]]
    for h in page["histograms"]:
        assert sum(n for _, n in h["buckets"]) == h["n"] and h["min"] <= h["max"]
    assert "VFIO_DEVICE_SET_IRQS" in names and "Write" in names, names
    heat = {row["name"]: row for row in page["heat"]}
    bell = heat["0000:01:00.0 BAR0 SQTDBL[1] 0x1008"]
    assert bell["writes"] == sum(bell["counts"]) == 1
    assert "0000:01:00.0 queue 1" in page["tracks"]
    assert page["devices"] == ["0000:01:00.0"] and page["whole"]
    codes = {code for _, _, code, _ in page["reports"]}
    assert "fault" in codes, page["reports"]


def script(path):
    sys.stdout.write(re.search(r"<script>(.*?)</script>", open(path).read(), re.S).group(1))


def picture(path):
    """Width, and rows of RGB triples, of a PNG of 8 bits without interlacing."""
    raw, at, packed = open(path, "rb").read(), 8, b""
    while at < len(raw):
        size, kind = struct.unpack(">I4s", raw[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", raw[at + 8:at + 18])
            assert depth == 8 and colour in (2, 6)
        if kind == b"IDAT":
            packed += raw[at + 8:at + 8 + size]
        at += 12 + size
    n = 3 if colour == 2 else 4
    flat, rows, last = zlib.decompress(packed), [], bytearray(width * n)
    for y in range(height):
        start = y * (width * n + 1)
        how, line = flat[start], bytearray(flat[start + 1:start + 1 + width * n])
        for i in range(width * n):
            left, up = line[i - n] if i >= n else 0, last[i]
            corner = last[i - n] if i >= n else 0
            if how == 1:
                line[i] = (line[i] + left) & 255
            elif how == 2:
                line[i] = (line[i] + up) & 255
            elif how == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif how == 4:
                p = left + up - corner
                near = min((abs(p - left), 0, left), (abs(p - up), 1, up),
                           (abs(p - corner), 2, corner))
                line[i] = (line[i] + near[2]) & 255
        rows.append([tuple(line[x * n:x * n + 3]) for x in range(width)])
        last = line
    return rows


def boxes(path):
    dom = open(path).read()
    return {name: list(map(int, box.split())) for name, box in
            re.findall(r'id="(\w+)"[^>]*data-box="([-0-9 ]*)"', dom)}


def part(rows, box):
    left, top, width, height = box
    return [line[max(left, 0):left + width] for line in rows[max(top, 0):top + height]]


# a pixel of each colour has to be in the part
PARTS = {
    "timeline": [(0xee, 0x99, 0x22), (0x44, 0x88, 0xcc), (0x88, 0x88, 0x88), (0xdd, 0, 0)],
    "reports": [(0xcc, 0x33, 0x33)],
    "events": [(0xcc, 0x33, 0x33)],
    "histograms": [(0x44, 0x88, 0xaa)],
}


def parts(dom, shot, dom2=None, shot2=None):
    rows, where = picture(shot), boxes(dom)
    assert set(where) == {"timeline", "reports", "events", "heat", "histograms"}, where
    for name, colours in PARTS.items():
        seen = {pixel for line in part(rows, where[name]) for pixel in line}
        for c in colours:
            near = min(sum(abs(a - b) for a, b in zip(c, p)) for p in seen)
            assert near <= 24, (name, c, near)
    red = [p for line in part(rows, where["heat"]) for p in line if p[0] > p[1] + 40 > p[2] + 20]
    assert red, "no register is warm"
    if not dom2:
        return
    rows2, where2 = picture(shot2), boxes(dom2)
    assert where == where2
    same = {name: part(rows, where[name]) == part(rows2, where[name]) for name in where}
    assert same == {"timeline": False, "reports": True, "events": True, "heat": True,
                    "histograms": True}, same


{"data": data, "script": script, "parts": parts}[sys.argv[1]](*sys.argv[2:])
