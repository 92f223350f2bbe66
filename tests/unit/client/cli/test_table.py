"""Tables: whole lines and whole ids at any width, everything in a pipe."""

import random
import string
from typing import Any

import pytest
from rich.cells import cell_len

from runstone.cli._table import Column, drawn, fields, tab_separated, tab_separated_fields

ID = Column("ID", lambda row: row["id"], lambda row: row["id"][:8])
NAME = Column("NAME", lambda row: row["name"], text=True)
SCORE = Column("score", lambda row: row["score"], right=True, optional=True, name="metrics.score")
NOTE = Column("NOTE", lambda row: row["note"], fold=True)


def row(**changes: Any) -> dict[str, Any]:
    return {"id": "0123456789abcdef" * 2, "name": "a name", "score": 0.5, "note": "n", **changes}


@pytest.mark.parametrize("width", [24, 40, 60, 80, 140, 400])
def test_no_line_is_wider_and_no_id_is_cut(width: int) -> None:
    dice = random.Random(width)

    def text() -> str:
        return "".join(dice.choices(string.ascii_letters + "     大", k=dice.randrange(90)))

    rows = [row(id=dice.randbytes(16).hex(), name=text(), note=text()) for _ in range(30)]
    extra = [
        Column(f"key{number}", lambda _: "1234.5", right=True, optional=True) for number in range(9)
    ]
    plain = drawn(rows, [ID, NAME, *extra], width)
    assert len(plain.lines) == len(rows) + 1
    for lines in (plain.lines, drawn(rows, [ID, NAME, NOTE], width).lines):
        assert max(map(cell_len, lines)) <= width
        assert [line[:8] for line in lines[1:] if line[0] != " "] == [
            each["id"][:8] for each in rows
        ]
    shown = len(extra) - len(plain.left_out)
    assert plain.lines[0].split()[2:] == [each.heading for each in extra[:shown]]


def test_numbers_are_right_aligned_and_a_gap_is_empty() -> None:
    lines = drawn([row(), row(score=None), row(score=12.25)], [ID, SCORE, NAME], 80).lines
    assert lines == [
        "ID        score  NAME",
        "01234567    0.5  a name",
        "01234567         a name",
        "01234567  12.25  a name",
    ]


def test_a_column_without_room_is_named_and_none_after_it_is_shown() -> None:
    small = Column("x", lambda _: 1, optional=True)
    table = drawn([row(score=123456789.0)], [ID, SCORE, small], 14)
    assert (table.lines[0], table.left_out) == ("ID", ["metrics.score", "x"])


def test_a_text_is_cut_before_a_number_is_left_out() -> None:
    table = drawn([row(name="a rather long name")], [ID, NAME, SCORE], 26)
    assert table.lines[1] == "01234567  a rather…    0.5"
    assert table.left_out == []


def test_a_last_text_is_folded_beside_or_below() -> None:
    words = "one two three four five six seven"
    beside = drawn([row(note=words)], [ID, NOTE], 40).lines
    assert beside[1:] == ["01234567  one two three four five six", "          seven"]
    below = drawn([row(note=words)], [ID, NAME, NOTE], 30).lines
    assert below[1:] == ["01234567  a name", "    one two three four five", "    six seven"]


def test_what_steers_a_terminal_is_not_sent_to_one() -> None:
    lines = drawn([row(name="\x1b[2Jgone\nline")], [ID, NAME], 80).lines
    assert lines[1] == "01234567  \ufffd[2Jgone line"
    assert fields({"tags": {"a": "\x1b[2J"}}, 80) == ["tags  a=\ufffd[2J"]


def test_a_pipe_gets_whole_cells_that_can_be_read_back() -> None:
    name = "tab\there\nand a \\ \x1b"
    lines = tab_separated([row(name=name, score=0.1 + 0.2)], [ID, NAME, SCORE])
    assert lines[0] == "ID\tNAME\tmetrics.score"
    whole_id, written, score = lines[1].split("\t")
    assert (whole_id, float(score)) == ("0123456789abcdef" * 2, 0.1 + 0.2)
    assert written == "tab\\there\\nand a \\\\ \x1b"


def test_one_thing_is_a_line_for_each_field_and_key() -> None:
    item = {"run_id": "ab", "note": "", "params": {"b": "2", "a": "1"}, "inputs": ["x", "y"]}
    assert fields(item, 80) == [
        "run id  ab",
        "params  a=1",
        "        b=2",
        "inputs  x",
        "        y",
    ]
    assert tab_separated_fields(item) == [
        "run_id\tab",
        "params.a\t1",
        "params.b\t2",
        "inputs\tx",
        "inputs\ty",
    ]


def test_a_long_word_is_wrapped_to_the_next_line_but_never_cut() -> None:
    uri = "runs:/" + "0123456789abcdef" * 3
    assert fields({"source": f"from {uri} on"}, 40) == [
        "source  from",
        f"        {uri}",
        "        on",
    ]
