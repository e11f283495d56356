"""The module as data: what decoding makes, validation checks and lowering reads.

Analogous to the abstract syntax of the WebAssembly core specification, chapter "Structure"; the names are its names.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from interlock.bytecode.opcodes import Opcode, opcode_of
from interlock.bytecode.types import (
    ExternKind,
    FuncType,
    GlobalType,
    MemoryType,
    SegmentMode,
    TableType,
    ValType,
)
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Immediate: TypeAlias = Any
"""What `opcodes.Imm` says for the opcode's kinds: None, a value, or a tuple of values in binary order."""

BlockType: TypeAlias = "ValType | int | None"
"""Immediate of block, loop, if: nothing, one result, or a type index."""


class MemArg(NamedTuple):
    """Immediate of loads and stores."""

    align: int  # log2 of bytes
    offset: int
    memory_index: int = 0
    # The front end made the access itself, behind a check of its own: it cannot trap.  No binary or text says so.
    is_in_bounds: bool = False


class Inst(NamedTuple):
    """One instruction as iteration over a `Body` gives it."""

    opcode: Opcode
    immediate: Immediate
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Instructions in order, `end` of the expression last, as parallel tuples (a module has 10^5 and more of them).

    Loops that must be fast read the tuples together: `zip(body.codes, body.immediates, body.offsets)`.
    """

    codes: tuple[int, ...]  # Opcode.code
    immediates: tuple[Immediate, ...]
    offsets: tuple[int, ...] = field(
        compare=False
    )  # bytes from the start of the input; of text, characters

    def __len__(self) -> int:
        """Number of instructions."""
        return len(self.codes)

    def __iter__(self) -> Iterator[Inst]:
        """The instructions as values."""
        for code, immediate, offset in zip(self.codes, self.immediates, self.offsets, strict=True):
            yield Inst(opcode_of(code), immediate, offset)

    def __getitem__(self, index: int) -> Inst:
        """One instruction as a value."""
        return Inst(opcode_of(self.codes[index]), self.immediates[index], self.offsets[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """Constant expression: a number.  `bits` is its unsigned bit pattern (i32 and f32: below 2^32)."""

    type: ValType
    bits: int
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalGet:
    """Constant expression: the value of an imported immutable global."""

    index: int
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefFunc:
    """Constant expression: a reference to a function."""

    index: int
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefNull:
    """Constant expression: null."""

    type: ValType
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstExpr:
    """Instructions where a constant expression should stand; no `ValidatedModule` holds one."""

    body: Body
    span: Span | None = field(default=None, compare=False)


ConstExpr: TypeAlias = Const | GlobalGet | RefFunc | RefNull | InstExpr

ZERO = Const(type=ValType.I32, bits=0)
"""The offset of a segment that is not active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import; `desc` is the type, for a function its type index."""

    module: str
    name: str
    kind: ExternKind
    desc: int | TableType | MemoryType | GlobalType
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export; `index` counts in the index space of its kind, imports first."""

    name: str
    kind: ExternKind
    index: int
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Global:
    """A defined global variable."""

    type: GlobalType
    init: ConstExpr
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elem:
    """An element segment; `table_index` and `offset` mean something when it is active."""

    type: ValType
    items: tuple[ConstExpr, ...]
    mode: SegmentMode
    table_index: int = 0
    offset: ConstExpr = ZERO
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A data segment; `memory_index` and `offset` mean something when it is active."""

    data: bytes
    mode: SegmentMode
    memory_index: int = 0
    offset: ConstExpr = ZERO
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A defined function.  Locals stay run-length: a few bytes of input may declare 50,000 of them."""

    type_index: int
    local_runs: tuple[tuple[int, ValType], ...]
    body: Body
    span: Span | None = field(default=None, compare=False)

    @property
    def locals(self) -> tuple[ValType, ...]:
        """The declared locals, without the parameters, one by one."""
        return tuple(kind for count, kind in self.local_runs for _ in range(count))

    @property
    def local_count(self) -> int:
        """Number of declared locals, without the parameters."""
        return sum(count for count, _ in self.local_runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomSection:
    """A custom section, kept as bytes; `after` is the place in the standard's section order which it follows (0: first)."""

    name: str
    data: bytes
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A decoded or parsed module.  Nothing about it is checked beyond its syntax."""

    types: tuple[FuncType, ...] = ()
    imports: tuple[Import, ...] = ()
    functions: tuple[Function, ...] = ()
    tables: tuple[TableType, ...] = ()
    memories: tuple[MemoryType, ...] = ()
    globals: tuple[Global, ...] = ()
    exports: tuple[Export, ...] = ()
    start: int | None = None
    elems: tuple[Elem, ...] = ()
    datas: tuple[Data, ...] = ()
    data_count: int | None = None  # the data count section, when there is one
    customs: tuple[CustomSection, ...] = ()  # the name section too
    name: str | None = None  # this and the next two come from the name section
    function_names: Mapping[int, str] = field(default_factory=dict)
    local_names: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    # Where types, tables, memories and the start function stand: keyword and number of the definition.
    places: Mapping[tuple[str, int], Span] = field(default_factory=dict, compare=False)
    file: str = field(default="", compare=False)
    line_starts: tuple[int, ...] = field(
        default=(), compare=False
    )  # text input: where its lines begin

    def span(self, offset: int, end: int | None = None) -> Span:
        """The place of an offset of this module's input, for example of `Inst.offset`."""
        return make_span(offset, end, line_starts=self.line_starts, file=self.file)


def make_span(
    offset: int, end: int | None = None, *, line_starts: tuple[int, ...] = (), file: str = ""
) -> Span:
    """A span; `line_starts` makes it one of a text."""
    end = offset if end is None else end
    if not line_starts:
        return Span(start=offset, end=end, file=file)
    line = bisect.bisect_right(line_starts, offset)
    column = offset - line_starts[line - 1]
    return Span(start=offset, end=end, line=line, column=column, file=file)
