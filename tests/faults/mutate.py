"""Valid files become damaged ones: one function for every kind of content, a pure function of a random generator."""

import gzip
import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import yaml

Content = Callable[[Random, bytes, Sequence[bytes]], bytes]
DEEP = 600
"""Brackets in brackets: more than a parser that calls itself bears."""
NUMBERS = (
    -1, 0, 1, 2, 7, 254, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, 10**30, -(10**30), 10**400,
    0.5, -0.0, 1e-300, 1e6, 1e9, 1e308, -1e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
TEXTS = (
    "", " ", "0", "1.0", "-1", "nan", "None", "true", "\0", "a\nb", "\u2028", "\ud800", "..", "../x", "/etc/passwd",
    "~", "C:\\x", "x" * 5000, "9" * 5000, "%s", "{}", "<b>", "Ä", "道路", "\udcff", "$HOME", "=1+1", "1e999", "#", "&a",
)  # fmt: skip
WORDS = (
    *map(str, NUMBERS), "NaN", "Infinity", "null", "true", "[]", "{}", "[[]]", "''", '""', ",", ":", ";", "\n", "\t",
    "\0", "-", "#", "&a", "*a", "!!python/object/apply:os.abort []", "!!binary x", "<<:", "? ", "---\n", "...", ".inf",
    ".nan", "2021-02-30", "12:30", "010", "9" * 5000, "x" * 3000, "<", ">", "&lt;", "&x;", "<!-- ", "<![CDATA[", "</",
    "/>", "=", "\ufeff", "\u2028", "é", "道", "..", "/etc/passwd", "%", "@", "`", "|", "[" * DEEP, "{'a':" * DEEP,
    '{"a":' * DEEP,
)  # fmt: skip


def mutate(rng: Random, seed: bytes, kind: str, pool: Sequence[bytes]) -> bytes:
    """A damaged copy of a valid file.

    Args:
        rng: What decides how.
        seed: A valid file.
        kind: What it holds, one of ``KINDS``.
        pool: Further valid files of the kind, parts of which are mixed in.
    """
    try:
        return KINDS[kind](rng, seed, pool)
    except RecursionError:  # brackets in brackets, which no writer writes
        return text(rng, seed, pool)


def binary(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """Bits turned, numbers made extreme, parts cut, doubled, exchanged and mixed with those of other files."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 9, 20))):
        if not data:
            break
        # Headers stand at the ends.
        near = rng.choice((len(data), len(data), min(64, len(data)), min(300, len(data))))
        place = rng.randrange(near) if rng.random() < 0.7 else len(data) - 1 - rng.randrange(near)
        length = rng.choice((1, 2, 4, 8, 16, rng.randrange(1, 1 + len(data))))
        match rng.randrange(9):
            case 0 | 1:
                data[place] ^= 1 << rng.randrange(8)
            case 2:
                data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
            case 3 | 4:
                width = rng.choice("BHIQ")
                mask = (1 << 8 * struct.calcsize(width)) - 1
                value = rng.choice((0, 1, 2, mask, mask >> 1, (mask >> 1) + 1, mask - 1, 10**6, rng.getrandbits(64)))
                part = struct.pack(rng.choice("<>") + width, value & mask)
                data[place : place + len(part)] = part
            case 5:
                del data[place : place + length]
            case 6:
                data[place:place] = rng.choice((data[place : place + length], rng.randbytes(length)))
            case 7:
                other = rng.choice(pool)
                start = rng.randrange(max(1, len(other)))
                data[place : place + length] = other[start : start + length]
            case 8 if rng.random() < 0.4:
                del data[place:]
    return bytes(data)


def text(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """Words exchanged, left out, doubled, made extreme; lines moved; another encoding; or bytes as in any file."""
    if rng.random() < 0.1:
        return binary(rng, seed, pool)
    words = re.findall(r"[^\W\d]+|\d+(?:\.\d+)?|\s|.", seed.decode("utf-8", "replace"))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        if not words:
            break
        place, other = rng.randrange(len(words)), rng.randrange(len(words))
        match rng.randrange(7):
            case 0 | 1:
                words[place] = rng.choice(WORDS)
            case 2:
                words.insert(place, rng.choice(WORDS))
            case 3:
                del words[place : place + rng.choice((1, 1, 2, 5, 20))]
            case 4:
                words[place], words[other] = words[other], words[place]
            case 5:
                words[place:place] = words[other : other + rng.choice((1, 5, 20, 100))]
            case 6 if rng.random() < 0.3:
                del words[place:]
    return encoded(rng, "".join(words))


def encoded(rng: Random, content: str) -> bytes:
    """Text as bytes: as UTF-8 mostly."""
    coding = "utf-8" if rng.random() < 0.93 else rng.choice(("utf-16", "utf-8-sig", "latin-1", "utf-32", "cp1252"))
    if rng.random() < 0.05:
        content = content.replace("\n", rng.choice(("\r\n", "\r", "\n\n")))
    with suppress(UnicodeEncodeError):
        return content.encode(coding)
    return content.encode(coding, "replace")


class Pairs(list):
    """An object of JSON as pairs, so that a key can stand twice."""


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a tree as its parent and the key there."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys]
    return found


def any_value(rng: Random) -> Any:
    """Something that stands where something else should."""
    found = rng.choice(
        (rng.choice(NUMBERS), rng.choice(NUMBERS), rng.choice(TEXTS), None, True, False, [], {}, [[]], [None], {"": 0})
    )
    if rng.random() < 0.02:
        for _ in range(rng.choice((5, 50, 400))):
            found = [found]
    return found


def tree(rng: Random, value: Any) -> Any:
    """Values of a tree exchanged, left out, doubled, renamed, wrapped, made extreme."""
    value = {"": value}
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        every = places(value)
        (parent, key), (other, place) = rng.choice(every), rng.choice(every)
        match rng.randrange(10):
            case 0 | 1 | 2:
                parent[key] = any_value(rng)
            case 3 if isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
                with suppress(OverflowError, ValueError):
                    parent[key] = rng.choice((-parent[key], parent[key] + 0.5, str(parent[key]), float(parent[key]),
                                              parent[key] * 10**6, parent[key] + 1, parent[key] - 1))  # fmt: skip
            case 4 if parent is not value:
                del parent[key]
            case 5:
                parent[key] = json.loads(json.dumps(other[place], default=str))
            case 6 if isinstance(parent, list):
                parent.insert(key, any_value(rng) if rng.random() < 0.5 else parent[key])
            case 7 if isinstance(parent, dict) and parent is not value:
                parent[str(key) + rng.choice(("", " ", "x", "\0"))] = parent.pop(key)
            case 8:
                parent[key] = rng.choice(([parent[key]], {"x": parent[key]}, str(parent[key])))
            case 9 if isinstance(parent, list):
                rng.shuffle(parent)
    return value[""] if "" in value else None


def spelled(rng: Random, value: Any) -> str:
    """A tree as JSON; now and then a key of it stands twice."""
    content = json.dumps(value)
    if rng.random() < 0.05 and (found := list(re.finditer(r'"\w+": [^][{},"]+, ', content))):
        again = rng.choice(found)
        content = content[: again.start()] + again[0] + content[again.start() :]
    return content


def as_json(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """The tree mostly, or the words of JSON."""
    if rng.random() < 0.3:
        return text(rng, seed, pool)
    return encoded(rng, spelled(rng, tree(rng, json.loads(seed))))


def as_yaml(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """The tree mostly, or the words of YAML."""
    if rng.random() < 0.4:
        return text(rng, seed, pool)
    return encoded(rng, yaml.safe_dump(tree(rng, yaml.safe_load(seed)), sort_keys=False, allow_unicode=True))


def png(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """Parts of a PNG damaged, with checksums that say they are whole."""
    if rng.random() < 0.35:
        return binary(rng, seed, pool)
    parts, start = [], 8
    while start + 8 <= len(seed):
        size = struct.unpack(">I", seed[start : start + 4])[0]
        parts.append([seed[start + 4 : start + 8], seed[start + 8 : start + 8 + size]])
        start += 12 + size
    for _ in range(rng.choice((1, 1, 2, 3))):
        part = rng.choice(parts)
        match rng.randrange(6):
            case 0 | 1:
                part[1] = binary(rng, part[1] or b"\0", pool)
            case 2 if part[0] == b"IDAT":
                with suppress(zlib.error):
                    part[1] = zlib.compress(binary(rng, zlib.decompress(part[1]), pool))
            case 3:
                part[0] = rng.choice((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"iCCP", b"acTL", b"fcTL",
                                      b"fdAT", b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"abcd"))  # fmt: skip
            case 4:
                rng.shuffle(parts)
            case 5 if parts[0][0] == b"IHDR" and len(parts[0][1]) >= 13:
                sizes = (0, 1, 2, 3, 9, 200, 65535, 10**6, 2**31 - 1, 2**32 - 1)
                bits, kind = rng.choice((0, 1, 2, 3, 4, 8, 16, 255)), rng.choice((0, 2, 3, 4, 6, 7))
                first = parts[0][1]
                sides = struct.pack(">II", rng.choice(sizes), rng.choice(sizes)) if rng.random() < 0.5 else first[:8]
                parts[0][1] = sides + bytes((bits, kind)) + first[10:]
    pieces = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
              for name, data in parts)  # fmt: skip
    return seed[:8] + b"".join(pieces)


def zipped(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """A member of a ZIP file damaged, with a checksum that says it is whole (NumPy's and torch's files)."""
    if rng.random() < 0.35:
        return binary(rng, seed, pool)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seed)) as given, zipfile.ZipFile(buffer, "w") as made:
        names = given.namelist()
        inner = [name for name in names if name.endswith((".pkl", ".npy"))]
        hit = rng.choice(inner if inner and rng.random() < 0.7 else names)
        for name in names:
            content = given.read(name)
            if name == hit:
                content = binary(rng, content or b"\0", pool) if rng.random() < 0.9 else b""
                if rng.random() < 0.1:
                    continue
            made.writestr(zipfile.ZipInfo(name), content, given.getinfo(name).compress_type)
    return buffer.getvalue()


def tar(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """A compressed tar file damaged inside, some of its headers with a right checksum."""
    if rng.random() < 0.3:
        return binary(rng, seed, pool)
    data = bytearray(binary(rng, gzip.decompress(seed), pool))
    for start in range(0, len(data) - 512, 512):
        if data[start + 257 : start + 262] == b"ustar" and rng.random() < 0.7:
            if rng.random() < 0.5:
                field = rng.choice(((0, 100), (124, 12), (156, 1), (157, 100), (345, 155)))
                value = rng.choice(
                    (b"../x", b"/x", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"7777777", b"L", b"2", b"\0")
                )
                data[start + field[0] : start + field[0] + field[1]] = value[: field[1]].ljust(field[1], b"\0")
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = f"{sum(data[start : start + 512]):06o}\0 ".encode()
    return gzip.compress(bytes(data), 1)


def matlab(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """A compressed element of a MATLAB file damaged inside; else, and in HDF5, as any other file."""
    if rng.random() < 0.3 or seed[:4] == b"\x89HDF" or seed[512:516] == b"\x89HDF" or len(seed) < 136:
        return binary(rng, seed, pool)
    parts, start = [], 128
    while start + 8 <= len(seed):
        kind, size = struct.unpack("<II", seed[start : start + 8])
        data = seed[start + 8 : start + 8 + size]
        if kind == 15:
            with suppress(zlib.error):
                data = zlib.compress(binary(rng, zlib.decompress(data), pool))
        elif rng.random() < 0.5:
            data = binary(rng, data, pool)
        parts.append(struct.pack("<II", kind, len(data)) + data)
        start += 8 + size
    return seed[:128] + b"".join(parts)


def safetensors(rng: Random, seed: bytes, pool: Sequence[bytes]) -> bytes:
    """The header of a file of tensors damaged, its length right."""
    if rng.random() < 0.3:
        return binary(rng, seed, pool)
    size = struct.unpack("<Q", seed[:8])[0]
    header = as_json(rng, seed[8 : 8 + size], [one[8:500] for one in pool])
    return struct.pack("<Q", len(header)) + header + seed[8 + size :]


KINDS: dict[str, Content] = {
    "binary": binary,
    "json": as_json,
    "matlab": matlab,
    "png": png,
    "safetensors": safetensors,
    "tar": tar,
    "text": text,
    "yaml": as_yaml,
    "zip": zipped,
}
