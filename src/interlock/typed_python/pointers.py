"""Raw memory: pointers, and operations on the memory as a whole.  `interlock.raw` is where users import them from.

An address is an offset in the program's linear memory; arithmetic on it is modulo 2**32, and an access outside the memory is
an `IndexError`.  Nothing else is checked: whoever imports this module allocates memory himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:

    class Pointer(Generic[T]):
        """The address of a number or a struct, of several behind each other, or of nothing."""

        def __init__(self, address: int | Pointer[Any], /) -> None: ...
        def __getitem__(self, index: int, /) -> T: ...
        def __setitem__(self, index: int, value: Any, /) -> None: ...
        def __add__(self, count: int, /) -> Pointer[T]: ...
        def __sub__(self, count: int, /) -> Pointer[T]: ...
        def __int__(self) -> int: ...
        def __getattr__(self, field: str, /) -> Any: ...
        def __setattr__(self, field: str, value: Any, /) -> None: ...

else:
    from interlock.typed_python.layout import Element, pointer_to
    from interlock.typed_python.values import element_of

    class _PointerTo:
        """The type of a pointer."""

        def __init__(self, scalar) -> None:
            self.scalar = scalar

        def __call__(self, address):
            """Outside compiled functions a pointer is its address."""
            return int(address)

    class Pointer:
        """The address of a number or a struct: ``Pointer[f64]``."""

        def __class_getitem__(cls, target):
            """The type of pointers to these; None, at which the checker points, if they have no layout."""
            element = element_of(target)
            if isinstance(element, Element):
                return _PointerTo(pointer_to(element))
            # A struct that is being defined has no layout yet.
            return _PointerTo(pointer_to(target)) if isinstance(target, type) else None


def _untyped(name: str) -> NoReturn:
    message = f"{name} has a meaning in a function for interlock.jit only, and in its .python"
    raise TypeError(message)


def address_of(place: T) -> Pointer[T]:
    """The address of what a pointer leads to: ``address_of(node.key)``, ``address_of(p[3])``."""
    del place
    _untyped("address_of")


def size_of(kind: Any) -> int:
    """How many bytes a value of a type takes, or a struct: a constant."""
    del kind
    _untyped("size_of")


def memory_size() -> int:
    """The size of the memory in pages of 64 KiB: a u32."""
    _untyped("memory_size")


def memory_grow(pages: int) -> int:
    """Grow the memory by a u32 of pages; the size before as an i32, or -1 if there is no room.  New bytes are 0."""
    del pages
    _untyped("memory_grow")


def memory_fill(to: Pointer[Any], byte: int, size_bytes: int) -> None:
    """Write the low 8 bits of an i32 to a u32 of bytes; an `IndexError` outside the memory, before anything is written."""
    del to, byte, size_bytes
    _untyped("memory_fill")


def memory_copy(to: Pointer[Any], source: Pointer[Any], size_bytes: int) -> None:
    """Copy a u32 of bytes, which may overlap; an `IndexError` outside the memory, before anything is written."""
    del to, source, size_bytes
    _untyped("memory_copy")
