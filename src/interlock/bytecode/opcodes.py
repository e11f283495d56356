"""THE opcode table of WebAssembly 3.0: everything that reads, writes or checks instructions derives from it.

The rows stand as text in `opcode_rows.py` (scalar) and `opcode_rows_vector.py` (SIMD, threads), one line each:

    hex subcode   name   immediates   params:results   what it does

Types are letters: `i` i32, `I` i64, `f` f32, `F` f64, `v` v128; `*` means that the signature depends on immediates or on
the stack.  `memarg:2` gives the natural alignment as a power of two.  A `~` in a name stands for a space.

`Opcode.code` is a small int: the byte itself for one-byte opcodes, a page of 256 or 512 for each prefix.  Tables
indexed by it are lists of `CODES_END` entries.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from interlock.bytecode import opcode_rows, opcode_rows_vector
from interlock.bytecode.types import ValType
from interlock.errors import InternalError


class Feature(enum.Enum):
    """Parts of WebAssembly 3.0 by the names of their proposals; the value is used in `UnsupportedError`."""

    CORE = "WebAssembly 1.0"
    SIGN_EXTENSION = "sign extension"
    SATURATING_CONVERSION = "saturating conversions"
    BULK_MEMORY = "bulk memory"
    REFERENCE_TYPES = "reference types"
    EXTENDED_CONST = "extended constant expressions"
    MEMORY64 = "memory64"
    MULTI_MEMORY = "multi-memory"
    TAIL_CALL = "tail calls"
    EXCEPTION_HANDLING = "exception handling"
    FUNCTION_REFERENCES = "typed function references"
    GC = "garbage collection"
    SIMD = "SIMD"
    RELAXED_SIMD = "relaxed SIMD"
    THREADS = "threads"


VALIDATED_FEATURES: Final = frozenset(
    {
        Feature.CORE,
        Feature.SIGN_EXTENSION,
        Feature.SATURATING_CONVERSION,
        Feature.BULK_MEMORY,
        Feature.REFERENCE_TYPES,
    }
)
"""Features whose instructions `validate` accepts (multi-value and mutable globals add no instruction)."""


class Imm(enum.Enum):
    """Kinds of immediates; the value is the word in the rows.

    `Body.immediates` holds None for an instruction without immediates, the value itself for one, a tuple in binary order
    for several.  What the values are stands behind each kind.
    """

    BLOCK_TYPE = "blocktype"  # None, a ValType, or a type index
    LABEL = "label"  # int
    LABELS = "labels"  # tuple of int, the default last
    FUNC = "func"  # int
    TYPE = "type"  # int
    TABLE = "table"  # int
    LOCAL = "local"  # int
    GLOBAL = "global"  # int
    MEMORY = "memory"  # int
    DATA = "data"  # int
    ELEM = "elem"  # int
    TAG = "tag"  # int
    FIELD = "field"  # int
    COUNT = "count"  # int
    MEMARG = "memarg"  # MemArg
    LANE = "lane"  # int
    LANES = "lanes"  # bytes, 16
    I32 = "i32"  # int, signed
    I64 = "i64"  # int, signed
    F32 = "f32"  # int: the 32 bits
    F64 = "f64"  # int: the 64 bits
    V128 = "v128"  # bytes, 16
    VAL_TYPES = "valtypes"  # tuple of ValType
    HEAP_TYPE = "heaptype"  # FUNCREF or EXTERNREF, else int (a type index, or a negative code of the standard)
    CATCHES = "catches"  # tuple of tuples (kind, tag index or None, label)
    CAST_FLAGS = "castflags"  # int
    ORDER = "order"  # int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opcode:
    """One row of the table."""

    code: int
    name: str
    prefix: int  # 0: a one-byte opcode
    subcode: int  # the opcode byte, or the number after the prefix
    immediates: tuple[Imm, ...]
    params: tuple[ValType, ...] | None  # None: depends on immediates or on the stack
    results: tuple[ValType, ...] | None
    align: int | None  # natural alignment of a memory access, log2 of bytes
    feature: Feature
    doc: str

    @property
    def access_bytes(self) -> int:
        """Bytes that a memory access reads or writes; 0 for other instructions."""
        return 0 if self.align is None else 1 << self.align

    def __str__(self) -> str:
        """As in the text format."""
        return self.name


PREFIX_BASES: Final = {0: 0, 0xFB: 0x100, 0xFC: 0x200, 0xFD: 0x300, 0xFE: 0x500}
"""The first `Opcode.code` of each prefix."""

CODES_END: Final = 0x600
"""One past the largest `Opcode.code`."""

_LETTERS: Final = {
    "i": ValType.I32,
    "I": ValType.I64,
    "f": ValType.F32,
    "F": ValType.F64,
    "v": ValType.V128,
}
_IMMEDIATES: Final = {kind.value: kind for kind in Imm}

_BLOCKS: Final = (
    (0, Feature.CORE, opcode_rows.CORE),
    (0, Feature.SIGN_EXTENSION, opcode_rows.SIGN_EXTENSION),
    (0, Feature.REFERENCE_TYPES, opcode_rows.REFERENCE_TYPES),
    (0, Feature.TAIL_CALL, opcode_rows.TAIL_CALL),
    (0, Feature.EXCEPTION_HANDLING, opcode_rows.EXCEPTION_HANDLING),
    (0, Feature.FUNCTION_REFERENCES, opcode_rows.FUNCTION_REFERENCES),
    (0, Feature.GC, opcode_rows.GC_UNPREFIXED),
    (0xFB, Feature.GC, opcode_rows.GC),
    (0xFC, Feature.SATURATING_CONVERSION, opcode_rows.SATURATING_CONVERSION),
    (0xFC, Feature.BULK_MEMORY, opcode_rows.BULK_MEMORY),
    (0xFC, Feature.REFERENCE_TYPES, opcode_rows.REFERENCE_TYPES_PREFIXED),
    (0xFD, Feature.SIMD, opcode_rows_vector.SIMD),
    (0xFD, Feature.RELAXED_SIMD, opcode_rows_vector.RELAXED_SIMD),
    (0xFE, Feature.THREADS, opcode_rows_vector.THREADS),
)


def _types(letters: str) -> tuple[ValType, ...]:
    return tuple(_LETTERS[letter] for letter in letters)


def _opcode(prefix: int, feature: Feature, row: str) -> Opcode:
    subcode_text, name, immediates_text, signature, doc = row.split(None, 4)
    subcode = int(subcode_text, 16)
    align = None
    kinds = []
    for word in immediates_text.split(",") if immediates_text != "-" else ():
        kind, _, natural = word.partition(":")
        kinds.append(_IMMEDIATES[kind])
        if natural:
            align = int(natural)
    params, _, results = signature.partition(":")
    fixed = signature != "*"
    return Opcode(
        code=PREFIX_BASES[prefix] + subcode,
        name=name.replace("~", " "),
        prefix=prefix,
        subcode=subcode,
        immediates=tuple(kinds),
        params=_types(params) if fixed else None,
        results=_types(results) if fixed else None,
        align=align,
        feature=feature,
        doc=doc,
    )


OPCODES: Final[tuple[Opcode, ...]] = tuple(
    _opcode(prefix, feature, row)
    for prefix, feature, rows in _BLOCKS
    for row in rows.strip().splitlines()
)
"""Every row, grouped by feature."""

BY_NAME: Final[dict[str, Opcode]] = {opcode.name: opcode for opcode in OPCODES}
"""The opcode of a name of the text format."""

BY_CODE: Final[list[Opcode | None]] = [None] * CODES_END
"""The opcode of a code; None where the standard defines no instruction."""

for _row in OPCODES:
    if BY_CODE[_row.code] is not None:
        raise InternalError(stage="opcodes", detail=f"two rows for code {_row.code:#x}")
    BY_CODE[_row.code] = _row
if len(BY_NAME) != len(OPCODES):
    raise InternalError(stage="opcodes", detail="two rows of one name")


def opcode_of(code: int) -> Opcode:
    """The opcode of a code that stands in a `Body`."""
    opcode = BY_CODE[code]
    if opcode is None:
        raise InternalError(stage="opcodes", detail=f"no opcode has the code {code:#x}")
    return opcode


def code_of(name: str) -> int:
    """The code of a name of the text format."""
    return BY_NAME[name].code
