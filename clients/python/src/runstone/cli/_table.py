"""Tables: on a terminal a line for each thing, cut to its width; in a pipe whole, tab separated.

A terminal's table never breaks a line and never cuts an id or a number: texts give way first, then
whole columns, which are named below the table. A pipe gets a heading line and then a line for each
thing; a tab, newline or backslash inside a cell is written as \\t, \\n or \\\\.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runstone.cli._format import cell

Row = Mapping[str, Any]

GAP = "  "
BELOW = " " * 4
"""Before a text that stands below its line."""

TEXT_SHARE = 8
"""A text that can be cut gets an eighth of the line first: two texts, and there is still room for a
metric at 80. What the others leave comes on top."""

SHORTEST_TEXT = 8
"""Of a text that is cut, at least so much stays: less says nothing."""

EMPTY: tuple[object, ...] = (None, "", [], {})
"""Values that one thing's table leaves out."""

WIDEST_OPTIONAL = 24
"""A column that need not be there takes no more than this."""

NARROWEST_FOLD = 24
"""A last column with less than this to fold into goes below its line instead."""


@dataclass(frozen=True)
class Column:
    """A heading, and what stands below it for one row.

    `value` is whole, for pipes; `shown` is its short form for terminals. A `text` may be cut; a
    `fold`, the last column, continues on further lines; an `optional` one is left out when there
    is no room; an `only_piped` one is on a terminal part of another. `name` is its whole name, for
    pipes and for telling that it had no room.
    """

    heading: str
    value: Callable[[Row], object]
    shown: Callable[[Row], str] | None = None
    right: bool = False
    text: bool = False
    fold: bool = False
    optional: bool = False
    only_piped: bool = False
    name: str = ""

    def on_terminal(self, row: Row) -> str:
        """The cell for people, on one line."""
        text = self.shown(row) if self.shown else cell(self.value(row))
        return printable(" ".join(text.split()))


@dataclass(frozen=True)
class Drawn:
    """A table's lines (the first is the heading), and the names of columns that had no room."""

    lines: list[str]
    left_out: list[str]


def tab_separated(rows: Iterable[Row], columns: Sequence[Column]) -> list[str]:
    """The lines for a pipe."""
    lines = ["\t".join(escaped(column.name or column.heading) for column in columns)]
    lines += ("\t".join(escaped(whole(column.value(row))) for column in columns) for row in rows)
    return lines


def whole(value: object) -> str:
    """A value with all its digits."""
    return repr(value) if isinstance(value, float) else cell(value)


def printable(text: str) -> str:
    """Without what would steer the terminal: names come from users."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def escaped(text: str) -> str:
    """A text that is one cell of a tab separated line."""
    for character, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(character, escape)
    return text


def drawn(rows: Sequence[Row], columns: Sequence[Column], width: int) -> Drawn:
    """The lines for a terminal of that width."""
    from rich.cells import cell_len

    columns = [each for each in columns if not each.only_piped]
    cells = {id(each): [each.on_terminal(row) for row in rows] for each in columns}
    wanted = {
        id(each): max([cell_len(each.heading), *map(cell_len, cells[id(each)])]) for each in columns
    }
    last = columns[-1] if columns and columns[-1].fold else None
    chosen = [each for each in columns if each is not last]
    reserved = len(GAP) + min(NARROWEST_FOLD, wanted[id(last)]) if last else 0
    sizes, left_out = _fitted(chosen, wanted, width - reserved)
    if left_out:
        sizes, left_out = _fitted(chosen, wanted, width)
    kept = [each for each in chosen if id(each) in sizes]
    room = width - sum(sizes.values()) - len(GAP) * len(kept)
    beside = last is not None and room >= min(NARROWEST_FOLD, wanted[id(last)])
    heads = [_padded(each.heading, sizes[id(each)], each.right) for each in kept]
    lines = [GAP.join([*heads, last.heading] if last and beside else heads).rstrip()]
    for number in range(len(rows)):
        line = GAP.join(
            _padded(cells[id(each)][number], sizes[id(each)], each.right) for each in kept
        )
        if last is None:
            lines.append(line.rstrip())
        elif beside:
            lines += _folded(f"{line}{GAP}", cells[id(last)][number], room)
        else:
            lines += [line.rstrip(), *_below(cells[id(last)][number], width)]
    return Drawn(lines, left_out)


def _fitted(
    columns: Sequence[Column], wanted: Mapping[int, int], width: int
) -> tuple[dict[int, int], list[str]]:
    """The width of each column that has room, and the names of the others."""
    sizes = {}
    for each in columns:
        size = wanted[id(each)]
        if each.text:
            size = min(size, max(SHORTEST_TEXT, len(each.heading), width // TEXT_SHARE))
        if not each.optional:
            sizes[id(each)] = size
    left_out = _without_room(columns, sizes, width)
    for each in columns:
        if not each.optional:
            continue
        size = min(wanted[id(each)], WIDEST_OPTIONAL)
        if left_out or _total(sizes) + len(GAP) + size > width:
            # What comes after is less important, and a gap in the order would mislead.
            left_out.append(each.name or each.heading)
        else:
            sizes[id(each)] = size
    for each in columns:
        spare = width - _total(sizes)
        if each.text and id(each) in sizes and spare > 0:
            sizes[id(each)] = min(wanted[id(each)], sizes[id(each)] + spare)
    return sizes, left_out


def _without_room(columns: Sequence[Column], sizes: dict[int, int], width: int) -> list[str]:
    """Shrink texts, then take columns away from the end, until the rest fits."""
    for each in columns:
        over = _total(sizes) - width
        if over > 0 and each.text and id(each) in sizes:
            least = min(sizes[id(each)], max(SHORTEST_TEXT, len(each.heading)))
            sizes[id(each)] = max(least, sizes[id(each)] - over)
    names: list[str] = []
    for each in reversed(columns):
        if id(each) in sizes and len(sizes) > 1 and _total(sizes) > width:
            del sizes[id(each)]
            names.insert(0, each.name or each.heading)
    return names


def _total(sizes: Mapping[int, int]) -> int:
    return sum(sizes.values()) + len(GAP) * max(0, len(sizes) - 1)


def fields(item: Row, width: int) -> list[str]:
    """The lines for a terminal that show one thing with all its fields but the empty ones.

    A word longer than the line, such as a URI, is left to the terminal to wrap, so that it can be
    copied whole.
    """
    named = {name: _lines_of(value) for name, value in item.items() if value not in EMPTY}
    start = max(map(len, named), default=0) + len(GAP)
    lines = []
    for name, texts in named.items():
        heading = name.replace("_", " ")
        for text in texts:
            room = max(width - start, SHORTEST_TEXT)
            for part in wrapped(text, room, break_words=False) or [""]:
                lines.append(f"{heading:{start}}{part}".rstrip())
                heading = ""
    return lines


def _lines_of(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [printable(f"{key}={cell(value[key])}") for key in sorted(value)]
    if isinstance(value, list | tuple):
        return [printable(cell(each)) for each in value]
    return [printable(line) for line in cell(value).splitlines()]


def tab_separated_fields(item: Row) -> list[str]:
    """The lines for a pipe that show one thing: a field's name, a tab, its value."""
    pairs: list[tuple[str, object]] = []
    for name, value in item.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}.{key}", value[key]) for key in sorted(value)]
        elif isinstance(value, list | tuple):
            pairs += [(name, each) for each in value]
        elif value not in EMPTY:
            pairs.append((name, value))
    return [f"{escaped(name)}\t{escaped(whole(value))}" for name, value in pairs]


def _padded(text: str, size: int, right: bool) -> str:
    from rich.cells import cell_len, chop_cells

    if cell_len(text) > size:
        text = f"{chop_cells(text, size - 1)[0]}…" if size > 1 else "…"
    space = " " * (size - cell_len(text))
    return space + text if right else text + space


def _folded(line: str, text: str, room: int) -> list[str]:
    from rich.cells import cell_len

    parts = wrapped(text, room) or [""]
    indent = " " * cell_len(line)
    return [(line + parts[0]).rstrip(), *(indent + part for part in parts[1:])]


def _below(text: str, width: int) -> list[str]:
    return [BELOW + part for part in wrapped(text, max(width - len(BELOW), SHORTEST_TEXT))]


def wrapped(text: str, width: int, *, break_words: bool = True) -> list[str]:
    """Lines of whole words, by the cells that a terminal gives them.

    A word longer than a line is broken, or stands on a line of its own for the terminal to wrap.
    """
    from rich.cells import cell_len, chop_cells

    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += chop_cells(word, width) if break_words else [word]
    return lines
