"""MLflow keeps prompts as registered models that bear a tag, and leaves them out of searches.

A search is for prompts when its filter says so; else it finds models only. MLflow's clients write
``tags.`mlflow.prompt.is_prompt` != 'true'`` for that, which is false here for a model without the
tag, as any comparison with what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping

from runstone_kit.errors import InvalidArgument
from runstone_kit.filterlang.lexer import Kind, Token, tokenize

TAG = "mlflow.prompt.is_prompt"

SOURCES = frozenset({"dummy-source", "prompt-template"})
"""What MLflow's clients give for the required source of a prompt's version."""

_PROMPTS = f"tags.`{TAG}` = 'true'"
_MODELS = f"NOT {_PROMPTS}"


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether what bears these tags is a prompt."""
    return tags.get(TAG, "").lower() == "true"


def without_prompts(text: str) -> str:
    """The filter, for models only unless it is one for prompts.

    What cannot be read is left as it is: the service says what is wrong with it.
    """
    try:
        tokens = _tokens(text)
    except InvalidArgument:
        return text
    asked = False
    pieces = []
    end = 0
    for name, operator, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if not _about_prompts(name, operator, value):
            continue
        wanted = (operator.text == "=") == (value.value.lower() == "true")
        asked = asked or wanted
        pieces += [text[end : name.column - 1], _PROMPTS if wanted else _MODELS]
        end = value.column - 1 + len(value.text)
    filtered = "".join(pieces) + text[end:]
    if asked:
        return filtered
    if not tokens:
        return _MODELS
    if any(token.is_keyword("OR") for token in tokens):
        filtered = f"({filtered})"
    return f"{filtered} AND {_MODELS}"


def _tokens(text: str) -> list[Token]:
    found = []
    for token in tokenize(text, "filter"):
        if token.kind is Kind.END:
            break
        found.append(token)
    return found


def _about_prompts(name: Token, operator: Token, value: Token) -> bool:
    return (
        name.kind is Kind.DOTTED
        and name.entity in ("tag", "tags")
        and name.value == TAG
        and operator.text in ("=", "!=")
        and value.kind is Kind.QUOTED
    )
