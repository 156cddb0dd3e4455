"""JSON into frozen dataclasses, to the leaf: every field there, no other one, of its type and in its range."""

import types
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

HUGE = 10**12  # no fact is negative or above, unless its Range says so


@dataclass(frozen=True)
class Range:
    """In Annotated[int, ...] or Annotated[float, ...]: the smallest and the largest number that can be a fact."""

    low: float
    high: float


def read(hint: Any, value: Any, where: str = "") -> Any:
    """`value`, as `json.loads` gives it, as the type `hint`.

    Takes dataclasses, tuple[T, ...], Mapping, Literal, unions, Annotated with a Range, str, bool, int and float. A
    mapping by Literal keys has exactly these. Raises ValueError that says where in the structure (`where`) and what
    stands there instead.
    """
    if hint is float or hint is int:
        return _number(hint, value, where, Range(0, HUGE))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _number(arguments[0], value, where, arguments[1])
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return tuple([read(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)])
    if origin is Literal:
        if not isinstance(value, str) or value not in arguments:
            raise _wrong(where, " or ".join(map(repr, arguments)), value)
        return value
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, where)
    if origin is Mapping:
        return _mapping(arguments[0], arguments[1], value, where)
    if is_dataclass(hint):
        return _object(hint, value, where)
    if type(value) is not hint:
        raise _wrong(where, {str: "a text", bool: "true or false", types.NoneType: "null"}[hint], value)
    return value


def _number(kind: type, value: Any, where: str, allowed: Range) -> Any:
    whole = type(value) is int
    if not (whole or (kind is float and type(value) is float)) or not allowed.low <= value <= allowed.high:
        raise _wrong(where, f"a {'whole ' * (kind is int)}number from {allowed.low:g} to {allowed.high:g}", value)
    return kind(value)


def _one_of(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    """The first of the types that takes the value; the complaint is the first one's, for a value that none takes."""
    if value is None and types.NoneType in hints:
        return None
    complaint: ValueError | None = None
    for hint in (hint for hint in hints if hint is not types.NoneType):
        try:
            return read(hint, value, where)
        except ValueError as error:
            complaint = complaint or error
    raise complaint or _wrong(where, "null", value)


def _mapping(keys: Any, values: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    if get_origin(keys) is Literal:
        _check_names(set(get_args(keys)), value, where)
    return {key: read(values, item, _inside(where, key)) for key, item in value.items()}


def _object(cls: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    hints = _fields(cls)
    _check_names(set(hints), value, where)
    found = {name: read(hint, value[name], _inside(where, name)) for name, hint in hints.items()}
    try:
        return cls(**found)
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from None


@cache
def _fields(cls: Any) -> dict[str, Any]:
    """Name -> type of every field, in order."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: hints[name] for name in cls.__dataclass_fields__}


def _check_names(expected: set[str], value: dict[str, Any], where: str) -> None:
    if missing := sorted(expected - set(value)):
        raise ValueError(f"{_inside(where, missing[0])} is missing")
    if unknown := sorted(set(value) - expected):
        raise ValueError(f"{_inside(where, unknown[0])} is unknown")


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _wrong(where: str, expected: str, value: Any) -> ValueError:
    shown = repr(value)
    return ValueError(f"{where} must be {expected}, got {shown if len(shown) < 60 else shown[:57] + '...'}")
