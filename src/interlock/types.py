"""The types of typed Python: what annotations of a function for `interlock.jit` are made of.

Called, each converts a number as it does in a compiled function: ``i32(2.9)`` is 2, ``i32(2**31)`` an `OverflowError`.
Type checkers see them as `int` and `float`, so that functions with these annotations can be called with Python's own numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

__all__ = ["f32", "f64", "i32", "i64", "u32", "u64"]

if TYPE_CHECKING:
    i32: TypeAlias = int
    u32: TypeAlias = int
    i64: TypeAlias = int
    u64: TypeAlias = int
    f32: TypeAlias = float
    f64: TypeAlias = float
else:
    from interlock.typed_python import operations, scalars

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
