"""What may be asked: the entities, keys, types and operators that a service declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Operator(StrEnum):
    """An operator as it is written in a filter."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IN = "IN"
    IS_NULL = "IS NULL"


class ValueType(StrEnum):
    """What a field is compared with: a quoted string, a number, or one of a few quoted names."""

    STRING = "string"
    NUMBER = "number"
    ENUM = "enum"


ORDERING = frozenset({Operator.EQ, Operator.NE, Operator.LT, Operator.LE, Operator.GT, Operator.GE})
MATCHING = frozenset({Operator.EQ, Operator.NE, Operator.LIKE, Operator.ILIKE})


@dataclass(frozen=True, slots=True)
class Field:
    """A key's type and operators. IN allows NOT IN too, and IS NULL allows IS NOT NULL.

    ``choices`` are the names an enum has. ``sortable`` says whether order_by may use it.
    """

    type: ValueType
    operators: frozenset[Operator]
    choices: tuple[str, ...] = ()
    sortable: bool = True


def number(*extra: Operator, sortable: bool = True) -> Field:
    """A field compared with numbers by ``= != < <= > >=`` and the ``extra`` operators."""
    return Field(ValueType.NUMBER, ORDERING | set(extra), sortable=sortable)


def string(*extra: Operator, sortable: bool = True) -> Field:
    """A field compared with strings by ``= != LIKE ILIKE`` and the ``extra`` operators."""
    return Field(ValueType.STRING, MATCHING | set(extra), sortable=sortable)


def enumeration(choices: Iterable[str], *extra: Operator, sortable: bool = True) -> Field:
    """Like ``string``, but ``=``, ``!=`` and ``IN`` take only one of ``choices``.

    A LIKE pattern is not checked against them.
    """
    return Field(ValueType.ENUM, MATCHING | set(extra), tuple(choices), sortable)


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of thing with keys: ``name`` is canonical, ``aliases`` are read as it.

    Keys are those of ``fields`` (and of ``key_aliases``, which map to them), or, with
    ``any_key``, whatever the user logged.
    """

    name: str
    aliases: tuple[str, ...] = ()
    any_key: Field | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    key_aliases: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, key: str) -> tuple[str, Field] | None:
        """The canonical key and its field, or None when there is no such key."""
        if self.any_key is not None:
            return key, self.any_key
        canonical = self.key_aliases.get(key, key)
        found = self.fields.get(canonical)
        return None if found is None else (canonical, found)


def attributes(
    fields: Mapping[str, Field],
    aliases: Mapping[str, str] | None = None,
    *,
    names: tuple[str, ...] = ("attributes", "attr"),
) -> Entity:
    """The entity ``attribute`` with its fixed keys; ``aliases`` maps other spellings to them.

    ``names`` are the entity's other names; runs add ``run``.
    """
    return Entity("attribute", names, fields=fields, key_aliases=aliases or {})


METRICS = Entity("metric", ("metrics",), any_key=number())
"""Metrics: a comparison means the latest value."""

_LOGGED = string(Operator.IN, Operator.IS_NULL)

PARAMS = Entity("param", ("params", "parameter", "parameters"), any_key=_LOGGED)

TAGS = Entity("tag", ("tags",), any_key=_LOGGED)

DATASETS = Entity(
    "dataset",
    ("datasets",),
    fields={name: string(Operator.IN, sortable=False) for name in ("name", "digest", "context")},
)
"""Datasets: true when any of the row's datasets satisfies the comparison."""


class Vocabulary:
    """The entities that one kind of search knows. ``attribute`` is meant when none is written.

    Raises ValueError when two entities share a name: that is a mistake of the service.
    """

    def __init__(self, *entities: Entity) -> None:
        self.entities = entities
        self._by_name: dict[str, Entity] = {}
        for entity in entities:
            for name in (entity.name, *entity.aliases):
                if name in self._by_name:
                    raise ValueError(f"two entities are called {name!r}")
                self._by_name[name] = entity

    def entity(self, name: str) -> Entity | None:
        """The entity with this name or alias, else None. Names are lower case, as in MLflow."""
        return self._by_name.get(name)

    @property
    def every_name(self) -> list[str]:
        """All names, aliases included."""
        return list(self._by_name)

    @property
    def names(self) -> list[str]:
        """The canonical names, in the order declared."""
        return [entity.name for entity in self.entities]
