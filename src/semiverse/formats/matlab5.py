"""Whether a MATLAB file of version 5 to 7 is whole: looked at before code written in C reads it.

That code believes what a file says of types, sizes and axes: a few wrong bytes end the process, or take all memory.
The format is MathWorks' "MAT-File Format": elements of a type, a size and data; matrices hold further elements.
"""

import struct
import zlib
from math import prod

MATRIX, COMPRESSED = 14, 15
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes of a value, by the type of an element."""
CELL, STRUCT, OBJECT, CHAR = 1, 2, 3, 4
NUMBERS = range(6, 16)
DEEPEST = 50
MOST = 2**30
"""Bytes of a file, unpacked."""
BLANKS = 1024
"""Signs of a text that nothing is stored of, at most."""
COMPLEX = 8
"""The flag of a matrix with an imaginary part."""


def unpacked(content: bytes) -> bytes:
    """A file without compression, all of whose elements are whole.

    Raises:
        ValueError: If it is no such file, one is not whole, or of a kind that no dataset holds.
    """
    if len(content) < 128 or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("found no MATLAB file of version 5 to 7")
    order = "<" if content[126:128] == b"IM" else ">"
    if struct.unpack(f"{order}H", content[124:126])[0] != 0x100:
        raise ValueError("found another version than 5 to 7")
    parts, place, size = [content[:128]], 128, 128
    while place < len(content):
        kind, start, end, after = _element(content, place, len(content), order)
        part = content[place:after]
        if kind == COMPRESSED:
            after = end  # these are not filled up to 8 bytes
            part = zlib.decompressobj().decompress(content[start:end], MOST - size)
            kind, start, end, _ = _element(part, 0, len(part), order)
        else:
            start, end = start - place, end - place
        if kind != MATRIX:
            raise ValueError(f"found an element of type {kind}; expected matrices")
        _check_matrix(part, start, end, order, 0)
        parts.append(part)
        size += len(part)
        place = after
    return b"".join(parts)


def _element(content: bytes, place: int, stop: int, order: str) -> tuple[int, int, int, int]:
    """Type of an element, where its data begin and end, and where the next one begins."""
    if place + 8 > stop:
        raise ValueError("it ends too early")
    kind, size = struct.unpack_from(f"{order}II", content, place)
    if kind >> 16:  # four bytes or less stand in the place of the size
        kind, size, start, after = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        if size > 4:
            raise ValueError(f"a short element has {size} bytes")
    else:
        start = place + 8
        after = start + size + -size % 8
    if start + size > stop or (kind not in WIDTHS and kind not in (MATRIX, COMPRESSED)):
        raise ValueError(f"an element of type {kind} and {size} bytes does not fit into it")
    return kind, start, start + size, min(after, stop)


class _Cursor:
    """Reads the elements of a matrix one after the other."""

    def __init__(self, content: bytes, start: int, stop: int, order: str) -> None:
        self.content, self.place, self.stop, self.order = content, start, stop, order

    def element(self) -> tuple[int, int, int]:
        """Type of the next element, and where its data begin and end."""
        kind, first, last, self.place = _element(self.content, self.place, self.stop, self.order)
        return kind, first, last

    def values(self, *wanted: int) -> tuple[int, int, int]:
        """The next element, which has to hold values, of one of these types."""
        kind, first, last = self.element()
        if kind not in (wanted or WIDTHS) or (last - first) % WIDTHS[kind]:
            raise ValueError(f"a matrix has {last - first} bytes of type {kind}")
        return kind, first, last

    def numbers(self, kind: int) -> tuple[int, ...]:
        """The next element, of a type of four bytes, as whole numbers."""
        _, first, last = self.values(kind)
        return struct.unpack_from(f"{self.order}{(last - first) // 4}i", self.content, first)


def _check_matrix(content: bytes, start: int, stop: int, order: str, depth: int) -> None:
    """Make sure that a matrix, and those in it, are whole."""
    if depth > DEEPEST:
        raise ValueError("matrices lie too deep in each other")
    if start == stop:  # an empty cell
        return
    cursor = _Cursor(content, start, stop, order)
    flags, axes = cursor.numbers(6), cursor.numbers(5)
    if len(flags) != 2 or not 2 <= len(axes) <= 32 or min(axes) < 0 or prod(axes) > MOST:
        raise ValueError(f"a matrix has the flags {flags[:2]} and the axes {axes[:8]}")
    cursor.values(1, 2)  # its name
    kind, count = flags[0] & 255, prod(axes)
    if kind in (CHAR, *NUMBERS):
        for _ in range(2 if flags[0] >> 8 & COMPLEX else 1):
            _check_count(cursor, kind, count)
        return
    if kind not in (CELL, STRUCT, OBJECT):
        raise ValueError(f"a matrix is of kind {kind}; expected numbers, texts, cells or structs")
    if kind == OBJECT:
        cursor.values(1, 2)
    for _ in range(count * (1 if kind == CELL else _count_fields(cursor))):
        found, first, last = cursor.element()
        if found != MATRIX:
            raise ValueError(f"a cell holds an element of type {found}")
        _check_matrix(content, first, last, order, depth + 1)


def _check_count(cursor: _Cursor, kind: int, count: int) -> None:
    """Make sure that a matrix has as many values as its axes say; empty texts may have blanks."""
    found, first, last = cursor.values()
    there = max(last - first, BLANKS * (first == last)) if kind == CHAR else (last - first) // WIDTHS[found]
    if count > there:
        raise ValueError(f"a matrix of {count} values has {last - first} bytes")


def _count_fields(cursor: _Cursor) -> int:
    """Fields of a struct, by the length of all their names and that of one."""
    length, (_, first, last) = cursor.numbers(5), cursor.values(1, 2)
    if len(length) != 1 or length[0] < 1 or (last - first) % length[0]:
        raise ValueError("a struct has no names of fields")
    return (last - first) // length[0]
