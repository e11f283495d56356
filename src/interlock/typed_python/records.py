"""Structs: classes whose annotated fields lie in memory in order, as in C."""

from __future__ import annotations

import sys
import typing
from typing import TypeVar

from interlock.typed_python.layout import Element, Record, lay_out
from interlock.typed_python.values import element_of

T = TypeVar("T")


def struct(cls: type[T]) -> type[T]:
    """Make a class a struct: the type of elements of arrays, and of what pointers lead to.

    The fields are numbers, pointers, references to functions, or other structs: ``particles[i].x``, ``node.next.key``.
    Numpy's type of the same layout is that of ``interlock.empty(n, Particle)``.
    """
    fields: dict[str, Element | Record] = {}
    # A struct may hold pointers to itself, and its module or function need not be done.
    caller = sys._getframe(1)  # noqa: SLF001  (as collections.namedtuple)
    names = {**caller.f_globals, **caller.f_locals, cls.__name__: cls}
    for name, annotation in typing.get_type_hints(cls, localns=names).items():
        element = element_of(annotation)
        if element is None:
            message = f"{cls.__name__}.{name} is no number: write a type of interlock.types"
            raise TypeError(message)
        fields[name] = element
    if not fields:
        message = f"{cls.__name__} has no annotated fields"
        raise TypeError(message)
    cls.record = lay_out(cls, fields)  # type: ignore[attr-defined]  # for the checker
    return cls
