"""Structs: classes whose annotated fields lie in memory in order, as in C."""

from __future__ import annotations

import typing
from typing import TypeVar

from interlock.typed_python.layout import Element, lay_out
from interlock.typed_python.values import element_of

T = TypeVar("T")


def struct(cls: type[T]) -> type[T]:
    """Make a class the type of elements of arrays: ``Array[Particle]``, whose fields are ``particles[i].x``.

    The fields are numbers; numpy's type of the same layout is that of ``interlock.empty(n, Particle)``.
    """
    fields: dict[str, Element] = {}
    for name, annotation in typing.get_type_hints(cls).items():
        element = element_of(annotation)
        if not isinstance(element, Element):
            message = f"{cls.__name__}.{name} is no number: write a type of interlock.types"
            raise TypeError(message)
        fields[name] = element
    if not fields:
        message = f"{cls.__name__} has no annotated fields"
        raise TypeError(message)
    cls.record = lay_out(cls.__name__, fields)  # type: ignore[attr-defined]  # for the checker
    return cls
