"""The byte-code: WebAssembly modules as data, their binary and text formats, and their validation.

    decode(bytes) or parse_wat(text) → Module → validate → ValidatedModule;   encode, to_wat: Module → bytes, text

Names resolve on first use (PEP 562): a program that reads binary modules never loads the text format.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.bytecode.binary import decode, encode
    from interlock.bytecode.module import (
        BlockType,
        Body,
        Const,
        ConstExpr,
        CustomSection,
        Data,
        Elem,
        Export,
        Function,
        Global,
        GlobalGet,
        Immediate,
        Import,
        Inst,
        InstExpr,
        MemArg,
        Module,
        RefFunc,
        RefNull,
    )
    from interlock.bytecode.opcodes import (
        BY_CODE,
        BY_NAME,
        CODES_END,
        OPCODES,
        VALIDATED_FEATURES,
        Feature,
        Imm,
        Opcode,
        code_of,
        opcode_of,
    )
    from interlock.bytecode.text_parser import parse_wat
    from interlock.bytecode.text_printer import to_wat
    from interlock.bytecode.types import (
        ExternKind,
        FuncType,
        GlobalType,
        Limits,
        MemoryType,
        SegmentMode,
        TableType,
        ValType,
    )
    from interlock.bytecode.validation import ValidatedModule, validate

_HOMES = {
    "binary": ("decode", "encode"),
    "module": (
        *("BlockType", "Body", "Const", "ConstExpr", "CustomSection", "Data", "Elem", "Export"),
        *("Function", "Global", "GlobalGet", "Immediate", "Import", "Inst", "InstExpr", "MemArg"),
        *("Module", "RefFunc", "RefNull"),
    ),
    "opcodes": (
        *("BY_CODE", "BY_NAME", "CODES_END", "OPCODES", "VALIDATED_FEATURES", "Feature", "Imm"),
        *("Opcode", "code_of", "opcode_of"),
    ),
    "text_parser": ("parse_wat",),
    "text_printer": ("to_wat",),
    "types": (
        *("ExternKind", "FuncType", "GlobalType", "Limits", "MemoryType", "SegmentMode"),
        *("TableType", "ValType"),
    ),
    "validation": ("ValidatedModule", "validate"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BY_CODE",
    "BY_NAME",
    "CODES_END",
    "OPCODES",
    "VALIDATED_FEATURES",
    "BlockType",
    "Body",
    "Const",
    "ConstExpr",
    "CustomSection",
    "Data",
    "Elem",
    "Export",
    "ExternKind",
    "Feature",
    "FuncType",
    "Function",
    "Global",
    "GlobalGet",
    "GlobalType",
    "Imm",
    "Immediate",
    "Import",
    "Inst",
    "InstExpr",
    "Limits",
    "MemArg",
    "MemoryType",
    "Module",
    "Opcode",
    "RefFunc",
    "RefNull",
    "SegmentMode",
    "TableType",
    "ValType",
    "ValidatedModule",
    "code_of",
    "decode",
    "encode",
    "opcode_of",
    "parse_wat",
    "to_wat",
    "validate",
]


def __getattr__(name: str) -> object:
    """Import the public name's home on first use."""
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module 'interlock.bytecode' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"interlock.bytecode.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, loaded or not."""
    return __all__
