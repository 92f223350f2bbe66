"""Every limit at the limit and one past it; every grammar with what it must refuse."""

from collections.abc import Callable

import pytest

from runstone_kit import validation
from runstone_kit.errors import Violations

Check = Callable[[Violations, str, str], bool]


def accepts(check: Check, value: str) -> bool:
    violations = Violations()
    accepted = check(violations, "field", value)
    assert accepted == (not violations)
    if not accepted:
        [violation] = violations.items
        assert violation.field == "field"
        assert len(violation.description) < 300
    return accepted


AWKWARD = ["", "\0", "a\0b", "a\nb", "a\n", "\ud800", "x" * 10_000_000]


@pytest.mark.parametrize(
    "check",
    [
        validation.check_entity_key,
        validation.check_run_id,
        validation.check_experiment_id,
        validation.check_id,
        validation.check_sha256,
        validation.check_model_name,
        validation.check_alias,
    ],
)
@pytest.mark.parametrize("value", AWKWARD, ids=lambda value: repr(value)[:12])
def test_no_name_takes_what_would_harm(check: Check, value: str) -> None:
    assert not accepts(check, value)


@pytest.mark.parametrize(
    ("check", "longest"),
    [
        (validation.check_entity_key, "k" * 250),
        (validation.check_run_id, "r" * 256),
        (validation.check_experiment_id, "7" * 64),
        (validation.check_model_name, "m" * validation.MAX_MODEL_NAME),
        (validation.check_alias, "a" * 255),
        (validation.check_request_id, "q" * validation.MAX_REQUEST_ID),
    ],
)
def test_the_limit_is_allowed_and_one_more_is_not(check: Check, longest: str) -> None:
    assert accepts(check, longest)
    assert not accepts(check, longest + longest[0])


def test_lengths_count_characters_not_bytes() -> None:
    for maximum in (validation.MAX_PARAM_VALUE, validation.MAX_TAG_VALUE):
        text = "😀" * maximum

        def check(violations: Violations, field: str, value: str, maximum: int = maximum) -> bool:
            return validation.check_text(violations, field, value, maximum)

        assert accepts(check, text)
        assert not accepts(check, text + "x")
    assert accepts(validation.check_entity_key, "é" * 250)


@pytest.mark.parametrize("key", ["loss", "train/loss", "a b:c-d_e.f", "Größe", "a/.b", "0", "a.."])
def test_keys_that_are_fine(key: str) -> None:
    assert accepts(validation.check_entity_key, key)


@pytest.mark.parametrize(
    "key",
    [
        *(".", "..", "../a", "a/..", "a/../b", "/a", "//a", "a//b", "a/", "a/.", "./a", "..a"),
        *("a,b", "a\\b", "a\tb", "a%b", "a\u2028b"),
    ],
)
def test_keys_that_are_paths_elsewhere_or_hold_other_characters(key: str) -> None:
    assert not accepts(validation.check_entity_key, key)


@pytest.mark.parametrize("name", ["latest", "Latest", "v1", "V12", "a b", "a/b", "a.b"])
def test_aliases_that_are_refused(name: str) -> None:
    assert not accepts(validation.check_alias, name)


@pytest.mark.parametrize("name", ["champion", "v", "v1a", "1", "latest-1", "Größe_2"])
def test_aliases_that_are_fine(name: str) -> None:
    assert accepts(validation.check_alias, name)


@pytest.mark.parametrize("name", ["a/b", "a:b", "   ", "a\x85b"])
def test_model_names_that_are_refused(name: str) -> None:
    assert not accepts(validation.check_model_name, name)


def test_free_text_may_have_lines_but_no_nul_and_no_half_characters() -> None:
    def check(violations: Violations, field: str, value: str) -> bool:
        return validation.check_text(violations, field, value, 100)

    assert accepts(check, "two\nlines\t😀")
    assert accepts(check, "")
    assert not accepts(check, "a\0")
    assert not accepts(check, "\udfff")


def test_numbers() -> None:
    def refused(check: Callable[[Violations], object]) -> bool:
        violations = Violations()
        check(violations)
        return bool(violations)

    assert not refused(lambda v: validation.check_count(v, "f", 100, 100))
    assert refused(lambda v: validation.check_count(v, "f", 101, 100))
    assert refused(lambda v: validation.check_count(v, "f", 0, 100, minimum=1))
    assert refused(lambda v: validation.check_page_size(v, "f", -1))
    assert not refused(lambda v: validation.check_page_size(v, "f", 0))
