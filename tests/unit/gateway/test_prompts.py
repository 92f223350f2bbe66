"""Filters that leave prompts out, and those that ask for them."""

import pytest

from runstone_gateway.prompts import is_prompt, without_prompts

TAG = "mlflow.prompt.is_prompt"
PROMPTS = f"tags.`{TAG}` = 'true'"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("", f"NOT {PROMPTS}"),
        ("  ", f"NOT {PROMPTS}"),
        ("name = 'a'", f"name = 'a' AND NOT {PROMPTS}"),
        ("name = 'a' OR name = 'b'", f"(name = 'a' OR name = 'b') AND NOT {PROMPTS}"),
        ("name = 'a OR b'", f"name = 'a OR b' AND NOT {PROMPTS}"),
        (PROMPTS, PROMPTS),
        (f"tag.`{TAG}`='TRUE'", PROMPTS),
        (f'tags."{TAG}" != "false" AND name = \'a\'', f"{PROMPTS} AND name = 'a'"),
        (f"tags.{TAG} != 'true' AND name = 'a'", f"NOT {PROMPTS} AND name = 'a' AND NOT {PROMPTS}"),
        (f"name = 'tags.{TAG} = ''true'''", f"name = 'tags.{TAG} = ''true''' AND NOT {PROMPTS}"),
        (f"tags.`{TAG}` LIKE 't%'", f"tags.`{TAG}` LIKE 't%' AND NOT {PROMPTS}"),
        ("name = 'a", "name = 'a"),
        ("name = \x00", "name = \x00"),
    ],
)
def test_filters(given: str, meant: str) -> None:
    assert without_prompts(given) == meant


def test_the_tag_must_be_true() -> None:
    assert is_prompt({TAG: "True"})
    assert not is_prompt({TAG: "false"})
    assert not is_prompt({})
