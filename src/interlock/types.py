"""The types of typed Python: what annotations of a function for `interlock.jit` are made of.

Called, each converts a number as it does in a compiled function: ``i32(2.9)`` is 2, ``i32(2**31)`` an `OverflowError`.
Type checkers see them as `int` and `float`, so that functions with these annotations can be called with Python's own numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar

__all__ = [
    "Array",
    "Array2",
    "Array3",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
]

if TYPE_CHECKING:
    i8: TypeAlias = int
    u8: TypeAlias = int
    i16: TypeAlias = int
    u16: TypeAlias = int
    i32: TypeAlias = int
    u32: TypeAlias = int
    i64: TypeAlias = int
    u64: TypeAlias = int
    f32: TypeAlias = float
    f64: TypeAlias = float

    _T_co = TypeVar("_T_co", covariant=True)

    class _Array(Protocol):
        """What all arrays have: numpy's and others."""

        def __len__(self) -> int: ...
        @property
        def shape(self) -> tuple[int, ...]: ...

    class Array(_Array, Protocol[_T_co]):
        """One dimension."""

        def __getitem__(self, index: int, /) -> _T_co: ...
        def __setitem__(self, index: int, value: Any, /) -> None: ...

    class Array2(_Array, Protocol[_T_co]):
        """Two dimensions."""

        def __getitem__(self, index: tuple[int, int], /) -> _T_co: ...
        def __setitem__(self, index: tuple[int, int], value: Any, /) -> None: ...

    class Array3(_Array, Protocol[_T_co]):
        """Three dimensions."""

        def __getitem__(self, index: tuple[int, int, int], /) -> _T_co: ...
        def __setitem__(self, index: tuple[int, int, int], value: Any, /) -> None: ...

else:
    from interlock.typed_python import layout, operations, scalars, values

    class _Number:
        scalar: ClassVar[scalars.Scalar]

        def __new__(cls, value=0):
            """Python's own number, after the check."""
            return operations.convert(cls.scalar, value)

    class i32(_Number):  # noqa: N801  (types are named like Python's own)
        """Signed integers of 32 bits."""

        scalar = scalars.I32

    class u32(_Number):  # noqa: N801
        """Unsigned integers of 32 bits."""

        scalar = scalars.U32

    class i64(_Number):  # noqa: N801
        """Signed integers of 64 bits."""

        scalar = scalars.I64

    class u64(_Number):  # noqa: N801
        """Unsigned integers of 64 bits."""

        scalar = scalars.U64

    class f32(_Number):  # noqa: N801
        """Floating-point numbers of 32 bits."""

        scalar = scalars.F32

    class f64(_Number):  # noqa: N801
        """Floating-point numbers of 64 bits: Python's float."""

        scalar = scalars.F64

    class _Narrow:
        element: ClassVar[layout.Element]

    class i8(_Narrow):  # noqa: N801
        """Elements of 8 bits, signed; read as i32."""

        element = layout.ELEMENTS["i8"]

    class u8(_Narrow):  # noqa: N801
        """Elements of 8 bits: bytes; read as i32."""

        element = layout.ELEMENTS["u8"]

    class i16(_Narrow):  # noqa: N801
        """Elements of 16 bits, signed; read as i32."""

        element = layout.ELEMENTS["i16"]

    class u16(_Narrow):  # noqa: N801
        """Elements of 16 bits; read as i32."""

        element = layout.ELEMENTS["u16"]

    class _Arrays:
        """The type of an array."""

        def __init__(self, array_type):
            self.array_type = array_type

    class Array:
        """One dimension: ``Array[f64]``."""

        dimensions = 1

        def __class_getitem__(cls, element):
            """The type of arrays of these; None, at which the checker points, if they are no numbers or structs."""
            found = values.element_of(element)
            return None if found is None else _Arrays(layout.ArrayType(found, cls.dimensions))

    class Array2(Array):
        """Two dimensions, in row-major order."""

        dimensions = 2

    class Array3(Array):
        """Three dimensions, in row-major order."""

        dimensions = 3
