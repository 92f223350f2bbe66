"""Types that hold others: objects, arrays, maps, and what may be anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypeAlias, Union

from runstone._schema.datatypes import NAMES, DataType
from runstone.exceptions import InvalidArgument

ARRAY = "array"
OBJECT = "object"
MAP = "map"
ANY = "any"
SPARKML_VECTOR = "sparkml_vector"
TENSOR = "tensor"

DEEPEST = 100
"""Levels of a type: nobody's data has more, and much more would end in a RecursionError."""


class IncompatibleTypes(Exception):
    """Two values that should be alike have no type in common."""


class BaseType(ABC):
    """What a type is that is no ``DataType``."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""

    @abstractmethod
    def merged(self, other: ColumnType) -> ColumnType:
        """The narrowest type of both. Raises IncompatibleTypes."""


ColumnType: TypeAlias = Union[DataType, "BaseType"]
AnyDtype: TypeAlias = Union[DataType, "BaseType", str]


class AnyType(BaseType):
    """Any JSON value, None among them; nothing is checked.

    Example:
        >>> from runstone.types.schema import AnyType, ColSpec, Schema
        >>> Schema([ColSpec(AnyType(), "payload")])
        ['payload': Any (required)]
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyType)

    def __repr__(self) -> str:
        return "Any"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        return {"type": ANY}

    def merged(self, other: ColumnType) -> ColumnType:
        """The other: it was only unknown here."""
        return other if isinstance(other, DataType | AnyType) else other.merged(self)


class Property:
    """One entry of an ``Object``.

    Args:
        name: Its key.
        dtype: Its type, or the name of a ``DataType``.
        required: Whether every object has it.

    Raises:
        InvalidArgument: The name is no string, or the type is unknown.
    """

    def __init__(self, name: str, dtype: AnyDtype, required: bool = True) -> None:
        if not isinstance(name, str):
            raise InvalidArgument(f"name of a Property: must be a string, not {name!r}")
        self.name = name
        self.dtype = read_type(dtype, f"dtype of the Property {name!r}")
        self.required = required

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Property) and vars(self) == vars(other)

    def __lt__(self, other: Property) -> bool:
        return self.name < other.name

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON: its name, and what is under it."""
        return {self.name: {**type_dict(self.dtype), "required": self.required}}

    def merged(self, other: Property) -> Property:
        """One for both, of the same name. Raises IncompatibleTypes."""
        return Property(self.name, merge(self.dtype, other.dtype), self.required and other.required)

    def optional(self) -> Property:
        """The same, but not required."""
        return Property(self.name, self.dtype, required=False)


class Object(BaseType):
    """A dictionary with known keys.

    Args:
        properties: At least one; kept in the order of their names.

    Raises:
        InvalidArgument: There is none, or two have one name.

    Example:
        >>> from runstone.types.schema import Array, Object, Property
        >>> Object([Property("role", "string"), Property("ids", Array("long"), required=False)])
        {ids: Array(long) (optional), role: string (required)}
    """

    def __init__(self, properties: list[Property]) -> None:
        self.properties = properties

    @property
    def properties(self) -> list[Property]:
        """Its entries, in the order of their names."""
        return self._properties

    @properties.setter
    def properties(self, properties: list[Property]) -> None:
        if not isinstance(properties, list) or not all(
            isinstance(each, Property) for each in properties
        ):
            raise InvalidArgument(
                f"properties: must be a list of Property, not {shortened(properties)}"
            )
        if not properties:
            raise InvalidArgument("properties: an Object needs at least one")
        if twice := duplicates(each.name for each in properties):
            raise InvalidArgument(f"properties: more than one is called {', '.join(twice)}")
        self._properties = sorted(properties)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and self.properties == other.properties

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self.properties))}}}"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        entries = {key: value for each in self.properties for key, value in each.to_dict().items()}
        return {"type": OBJECT, "properties": entries}

    def merged(self, other: ColumnType) -> ColumnType:
        """One with the entries of both; what only one has is optional."""
        if isinstance(other, AnyType):
            return Object([each.optional() for each in self.properties])
        if not isinstance(other, Object):
            raise IncompatibleTypes(f"{self!r} and {other!r} have no type in common")
        here = {each.name: each for each in self.properties}
        there = {each.name: each for each in other.properties}
        common = [each.merged(there[name]) for name, each in here.items() if name in there]
        single = [
            each for name, each in (here | there).items() if (name in here) != (name in there)
        ]
        return Object([*common, *(each.optional() for each in single)])


class Array(BaseType):
    """A list whose items have one type.

    Args:
        dtype: That type, or the name of a ``DataType``.

    Raises:
        InvalidArgument: The type is unknown.
    """

    def __init__(self, dtype: AnyDtype) -> None:
        self.dtype = read_type(dtype, "dtype of an Array")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array) and self.dtype == other.dtype

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        return {"type": ARRAY, "items": type_dict(self.dtype)}

    def merged(self, other: ColumnType) -> ColumnType:
        """One for the items of both."""
        if isinstance(other, AnyType):
            return self
        if not isinstance(other, Array) or isinstance(other, SparkMLVector):
            raise IncompatibleTypes(f"{self!r} and {other!r} have no type in common")
        return Array(merge(self.dtype, other.dtype))


class SparkMLVector(Array):
    """A vector of Spark ML: numbers of type double."""

    def __init__(self) -> None:
        super().__init__(DataType.double)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SparkMLVector)

    def __repr__(self) -> str:
        return "SparkML vector"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        return {"type": SPARKML_VECTOR}

    def merged(self, other: ColumnType) -> ColumnType:
        """Itself; it is like nothing else."""
        if isinstance(other, SparkMLVector):
            return self
        raise IncompatibleTypes(f"{self!r} and {other!r} have no type in common")


class Map(BaseType):
    """A dictionary whose keys are any strings, and whose values have one type.

    Args:
        value_type: That type, or the name of a ``DataType``.

    Raises:
        InvalidArgument: The type is unknown.
    """

    def __init__(self, value_type: AnyDtype) -> None:
        self.value_type = read_type(value_type, "value_type of a Map")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and self.value_type == other.value_type

    def __repr__(self) -> str:
        # With the class before the name of a DataType, as MLflow writes it.
        return f"Map(str -> {self.value_type})"

    def to_dict(self) -> dict[str, Any]:
        """As it is in JSON."""
        return {"type": MAP, "values": type_dict(self.value_type)}

    def merged(self, other: ColumnType) -> ColumnType:
        """One for the values of both."""
        if isinstance(other, AnyType):
            return self
        if not isinstance(other, Map):
            raise IncompatibleTypes(f"{self!r} and {other!r} have no type in common")
        return Map(merge(self.value_type, other.value_type))


def merge(one: ColumnType, other: ColumnType) -> ColumnType:
    """The narrowest type of both. Raises IncompatibleTypes."""
    if one == other:
        return one
    if not isinstance(one, DataType):
        return one.merged(other)
    if isinstance(other, AnyType):
        return one
    raise IncompatibleTypes(f"{one!r} and {other!r} have no type in common")


def read_type(dtype: AnyDtype, where: str) -> ColumnType:
    """A type as it is, or that of a name. Raises InvalidArgument, which says where it stood."""
    if isinstance(dtype, DataType | BaseType):
        return dtype
    if isinstance(dtype, str) and dtype in NAMES:
        return DataType[dtype]
    raise InvalidArgument(
        f"{where}: must be a DataType, Array, Object, Map or AnyType, or one of"
        f" {', '.join(NAMES)}, not {shortened(dtype)}"
    )


def type_dict(dtype: ColumnType) -> dict[str, Any]:
    """A type as it is in JSON."""
    return {"type": dtype.name} if isinstance(dtype, DataType) else dtype.to_dict()


def type_from_dict(document: Any, where: str, depth: int = 0) -> ColumnType:
    """A type from its JSON. Raises InvalidArgument, which says where it stood."""
    if depth > DEEPEST:
        raise InvalidArgument(f"{where}: the type is nested more than {DEEPEST} levels deep")
    kind = entry(document, "type", where)
    if kind == ARRAY:
        return Array(type_from_dict(entry(document, "items", where), f"{where}.items", depth + 1))
    if kind == MAP:
        return Map(type_from_dict(entry(document, "values", where), f"{where}.values", depth + 1))
    if kind == OBJECT:
        properties = entry(document, "properties", where)
        if not isinstance(properties, dict):
            raise InvalidArgument(
                f"{where}.properties: must be a JSON object, not {shortened(properties)}"
            )
        return Object([_property(name, value, where, depth) for name, value in properties.items()])
    if kind == SPARKML_VECTOR:
        return SparkMLVector()
    return AnyType() if kind == ANY else read_type(kind, f"{where}.type")


def _property(name: str, document: Any, where: str, depth: int) -> Property:
    dtype = type_from_dict(document, f"{where}.{name}", depth + 1)
    return Property(name, dtype, document.get("required", True))


def entry(document: Any, key: str, where: str) -> Any:
    """An entry that must be there. Raises InvalidArgument."""
    if not isinstance(document, dict):
        raise InvalidArgument(f"{where}: must be a JSON object, not {shortened(document)}")
    if key not in document:
        raise InvalidArgument(f"{where}: has no {key!r}")
    return document[key]


def duplicates(names: Iterable[Any]) -> list[str]:
    """The names that come more than once, as they are written in a program."""
    seen: set[Any] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[repr(name)] = None
        seen.add(name)
    return list(twice)


def shortened(value: Any, length: int = 80) -> str:
    """A value for a message: its type and so much of it as one can read."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= length else text[: length - 1] + '…'}"
