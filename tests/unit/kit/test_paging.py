"""Page tokens carry any key there and back, and never raise anything but InvalidArgument."""

import base64
import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone_kit import paging
from runstone_kit.errors import InvalidArgument

QUERY = paging.query_hash("SearchRuns", ["0"], "metrics.loss < 1", [("loss", True)])

storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
key_values = st.one_of(
    st.none(), storable, st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=True)
)


def forged(payload: str, query: str = QUERY) -> str:
    """A token with a right checksum: whoever reads the source can make one."""
    checksum = hashlib.sha256((query + payload).encode()).hexdigest()[:8]
    return base64.urlsafe_b64encode((query + checksum + payload).encode()).decode().rstrip("=")


def reason(token: str, query: str = QUERY) -> str:
    with pytest.raises(InvalidArgument) as caught:
        paging.decode_token(token, query)
    assert caught.value.violations[0].field == "page_token"
    return caught.value.reason


@given(st.lists(key_values, max_size=5))
def test_a_key_comes_back_as_it_was(key: list[paging.KeyValue]) -> None:
    back = paging.decode_token(paging.encode_token(QUERY, key), QUERY)
    assert back is not None
    assert [type(value) for value in back] == [type(value) for value in key]
    assert repr(back) == repr(key)


def test_the_empty_token_is_the_first_page() -> None:
    assert paging.decode_token("", QUERY) is None


def test_special_floats_survive() -> None:
    back = paging.decode_token(paging.encode_token(QUERY, [math.nan, math.inf, -math.inf]), QUERY)
    assert back is not None
    assert repr(back) == "[nan, inf, -inf]"


def test_a_token_of_another_query_is_told_apart() -> None:
    other = paging.query_hash("SearchRuns", ["1"], "metrics.loss < 1", [("loss", True)])
    assert other != QUERY
    assert reason(paging.encode_token(other, [1])) == "PAGE_TOKEN_OTHER_QUERY"


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "%%%%",
        "é" * 20,
        "\0",
        "\ud800",
        "A" * 100_000,
        forged("not json"),
        forged("{}"),
        forged("[true]"),
        forged("[[1]]"),
        forged('["\\u0000"]'),
        forged('["\\ud800"]'),
        forged(f"[{2**63}]"),
        forged("[" + "9" * 10_000 + "]"),
        forged("[" * 20_000),
        base64.urlsafe_b64encode(b"\xff\xfe" * 10).decode(),
    ],
    ids=lambda token: repr(token)[:16],
)
def test_a_forged_token_is_invalid_and_nothing_worse(token: str) -> None:
    assert reason(token) == "PAGE_TOKEN_INVALID"


def test_what_is_forged_here_is_read_there() -> None:
    assert paging.decode_token(forged('["a",1]'), QUERY) == ["a", 1]


TOKEN = paging.encode_token(QUERY, ["model/a", 7])


@pytest.mark.parametrize("at", range(len(TOKEN)))
def test_a_token_with_another_character_is_invalid(at: int) -> None:
    for other in "A-9":
        if other != TOKEN[at]:
            assert reason(TOKEN[:at] + other + TOKEN[at + 1 :]) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    "token",
    [
        *(TOKEN + "=" * count for count in (1, 2, 3)),
        TOKEN + "A",
        TOKEN[:-1],
        TOKEN + "\n",
        # As tokens were before they had a checksum.
        base64.urlsafe_b64encode((QUERY + '["model/b",7]').encode()).decode().rstrip("="),
    ],
)
def test_an_altered_token_is_invalid(token: str) -> None:
    assert reason(token) == "PAGE_TOKEN_INVALID"


def test_a_position_of_another_token_is_invalid() -> None:
    def raw(token: str) -> bytes:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))

    other = raw(paging.encode_token(QUERY, ["model/b", 7]))
    spliced = raw(TOKEN)[:16] + other[16:]
    assert reason(base64.urlsafe_b64encode(spliced).decode().rstrip("=")) == "PAGE_TOKEN_INVALID"


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_text_makes_it_raise_anything_else(token: str) -> None:
    try:
        paging.decode_token(token, QUERY)
    except InvalidArgument:
        pass


@pytest.mark.parametrize("key", [["1"], [1], [1, 2, 3], [None, 2], []])
def test_a_key_of_another_shape_is_invalid(key: list[paging.KeyValue]) -> None:
    token = forged(json.dumps(key))
    with pytest.raises(InvalidArgument):
        paging.decode_token(token, QUERY, [(int,), (str,)])


def test_a_key_of_the_right_shape_passes() -> None:
    token = paging.encode_token(QUERY, [None, "a"])
    types = [(int, float, type(None)), (str,)]
    assert paging.decode_token(token, QUERY, types) == [None, "a"]


def test_page_sizes() -> None:
    def size(value: int) -> int:
        return paging.resolve_page_size(value, default=100, maximum=1000)

    assert [size(value) for value in (0, 1, 1000, 1001, 2**31 - 1)] == [100, 1, 1000, 1000, 1000]
    with pytest.raises(InvalidArgument, match="page_size"):
        size(-1)


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    rows = list(range(10))
    seen: list[int] = []
    token = ""
    while True:
        key = paging.decode_token(token, QUERY, [(int,)])
        after = -1 if key is None else key[0]
        assert isinstance(after, int)
        read = [row for row in rows if row > after][:4]
        page = paging.cut_page(read, 3, QUERY, lambda row: [row])
        seen += page.items
        token = page.next_page_token
        if not token:
            break
    assert seen == rows
