"""How values lie in linear memory: elements of arrays and fields of structs, and the types of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from interlock.bytecode import ValType
from interlock.typed_python.scalars import BOOL, F32, F64, I32, I64, U32, U64, Scalar


@dataclass(frozen=True, slots=True)
class Element:
    """A number in memory; when it has been read it is a `scalar`."""

    name: str
    scalar: Scalar
    size_bytes: int
    load: str  # the instruction
    store: str

    @property
    def minimum(self) -> int:
        """The smallest value of an integer element."""
        return -(1 << (8 * self.size_bytes - 1)) if self.name[0] == "i" else 0

    @property
    def maximum(self) -> int:
        """The largest value of an integer element."""
        return (1 << (8 * self.size_bytes - (self.name[0] == "i"))) - 1

    @property
    def align_bytes(self) -> int:
        """What its address is a multiple of, in a struct."""
        return self.size_bytes

    @property
    def is_narrow(self) -> bool:
        """Whether it holds fewer values than its scalar, so that storing is checked."""
        return self.scalar is I32 and self.size_bytes < 4

    def __str__(self) -> str:
        """As in annotations."""
        return self.name


ELEMENTS: Final = {
    each.name: each
    for each in (
        Element("i8", I32, 1, "i32.load8_s", "i32.store8"),
        Element("u8", I32, 1, "i32.load8_u", "i32.store8"),
        Element("i16", I32, 2, "i32.load16_s", "i32.store16"),
        Element("u16", I32, 2, "i32.load16_u", "i32.store16"),
        Element("i32", I32, 4, "i32.load", "i32.store"),
        Element("u32", U32, 4, "i32.load", "i32.store"),
        Element("i64", I64, 8, "i64.load", "i64.store"),
        Element("u64", U64, 8, "i64.load", "i64.store"),
        Element("f32", F32, 4, "f32.load", "f32.store"),
        Element("f64", F64, 8, "f64.load", "f64.store"),
        Element("bool", BOOL, 1, "i32.load8_u", "i32.store8"),
    )
}
"""By the name of the type."""


@dataclass(frozen=True, slots=True)
class Field:
    """A number, or another struct, in a struct."""

    name: str
    element: Element | Record
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """A struct: fields in order, each at a multiple of its alignment, as in C."""

    owner: type  # the class
    fields: tuple[Field, ...]
    size_bytes: int
    align_bytes: int

    @property
    def name(self) -> str:
        """The class's."""
        return self.owner.__name__

    def field(self, name: str) -> Field | None:
        """The field of a name."""
        return next((each for each in self.fields if each.name == name), None)

    def __str__(self) -> str:
        """As in annotations."""
        return self.name


@dataclass(frozen=True, slots=True)
class PointerType(Scalar):
    """An address in linear memory, and what lies there: an element, or the class of a struct, which may be being defined."""

    target: object = None

    @property
    def letter(self) -> str:
        """A pointer's."""
        return "p"

    @property
    def element(self) -> Element | Record:
        """What it points to."""
        found = self.target if isinstance(self.target, Element) else vars(self.target).get("record")
        if not isinstance(found, Element | Record):
            message = f"{self.name}: that is no struct: put @interlock.struct above it"
            raise TypeError(message)
        return found


@dataclass(frozen=True, slots=True)
class CallableType(Scalar):
    """A reference to a function: its index in the table of the program."""

    params: tuple[Scalar, ...] = ()
    result: Scalar | None = None

    @property
    def letter(self) -> str:
        """A function's."""
        return "c"


def pointer_to(target: Element | Record | type) -> PointerType:
    """The type of pointers to numbers of an element, or to structs of a class, which need not be laid out yet."""
    if isinstance(target, Record):
        target = target.owner
    name = target.name if isinstance(target, Element) else target.__name__
    return PointerType(f"Pointer[{name}]", ValType.I32, 32, is_signed=False, target=target)


def callable_type(params: tuple[Scalar, ...], result: Scalar | None) -> CallableType:
    """The type of references to functions of these types."""
    name = f"Callable[[{', '.join(map(str, params))}], {result}]"
    return CallableType(name, ValType.I32, 32, is_signed=False, params=params, result=result)


def element_for(kind: Scalar) -> Element:
    """How a value of a type lies in memory: addresses and references as u32."""
    return ELEMENTS.get(kind.name) or Element(kind.name, kind, 4, "i32.load", "i32.store")


@dataclass(frozen=True, slots=True)
class ArrayType:
    """A parameter that is an array in row-major order: an address, and a length for each dimension."""

    element: Element | Record
    dimensions: int

    def __str__(self) -> str:
        """As in annotations."""
        number = "" if self.dimensions == 1 else str(self.dimensions)
        return f"Array{number}[{self.element}]"


Type: TypeAlias = Scalar | ArrayType


def lay_out(owner: type, fields: dict[str, Element | Record]) -> Record:
    """A struct with these fields."""
    laid: list[Field] = []
    end, widest = 0, 1
    for field, element in fields.items():
        start = -(-end // element.align_bytes) * element.align_bytes
        laid.append(Field(field, element, start))
        end = start + element.size_bytes
        widest = max(widest, element.align_bytes)
    return Record(owner, tuple(laid), -(-end // widest) * widest, widest)
