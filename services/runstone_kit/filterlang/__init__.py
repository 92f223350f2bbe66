"""The search language: MLflow's filter strings, plus OR, NOT and parentheses.

    filter     := and (OR and)*
    and        := not (AND not)*
    not        := NOT not | '(' filter ')' | comparison
    comparison := ident op value | ident [NOT] IN (value, ...) | ident IS [NOT] NULL
    ident      := [entity '.'] key
    order_by   := ident [ASC | DESC]

Keywords may be in any case; NOT binds tighter than AND, AND tighter than OR. A key may be
`backticked` or "quoted"; unquoted it holds letters, digits and ``_ . / : -``. A string value
stands in single or double quotes, and a quote inside is doubled. An identifier without an entity
is an attribute.

A text that MLflow accepts means the same here, except for accidents of its parser which are
errors here: comparisons with nothing between them, a dangling AND, a space after the dot, and
``''`` inside a string, which MLflow reads as two quotes and this language, like SQL, as one.
"""

from runstone_kit.filterlang.ast import (
    And,
    Comparison,
    Expression,
    In,
    IsNull,
    Not,
    Or,
    OrderBy,
    Value,
)
from runstone_kit.filterlang.lexer import MAX_LENGTH
from runstone_kit.filterlang.order import MAX_ORDER_BY, parse_order_by
from runstone_kit.filterlang.parser import MAX_COMPARISONS, MAX_DEPTH, MAX_VALUES, parse
from runstone_kit.filterlang.vocabulary import (
    DATASETS,
    METRICS,
    PARAMS,
    TAGS,
    Entity,
    Field,
    Operator,
    ValueType,
    Vocabulary,
    attributes,
    enumeration,
    number,
    string,
)

__all__ = [
    "DATASETS",
    "MAX_COMPARISONS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "MAX_ORDER_BY",
    "MAX_VALUES",
    "METRICS",
    "PARAMS",
    "TAGS",
    "And",
    "Comparison",
    "Entity",
    "Expression",
    "Field",
    "In",
    "IsNull",
    "Not",
    "Operator",
    "Or",
    "OrderBy",
    "Value",
    "ValueType",
    "Vocabulary",
    "attributes",
    "enumeration",
    "number",
    "parse",
    "parse_order_by",
    "string",
]
