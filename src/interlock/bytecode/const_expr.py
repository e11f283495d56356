"""Constant expressions: the four forms of one instruction, or instructions that validation will judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.bytecode.module import (
    Body,
    Const,
    ConstExpr,
    GlobalGet,
    InstExpr,
    RefFunc,
    RefNull,
)
from interlock.bytecode.opcodes import code_of
from interlock.bytecode.types import ValType

if TYPE_CHECKING:
    from interlock.source import Span

END: Final = code_of("end")
_GLOBAL_GET: Final = code_of("global.get")
_REF_FUNC: Final = code_of("ref.func")
_REF_NULL: Final = code_of("ref.null")
_CONSTS: Final = {
    code_of("i32.const"): (ValType.I32, 0xFFFFFFFF),
    code_of("i64.const"): (ValType.I64, 0xFFFFFFFFFFFFFFFF),
    code_of("f32.const"): (ValType.F32, 0xFFFFFFFF),
    code_of("f64.const"): (ValType.F64, 0xFFFFFFFFFFFFFFFF),
}
_CONST_CODES: Final = {kind: code for code, (kind, _) in _CONSTS.items()}


def simplify(body: Body, span: Span) -> ConstExpr:
    """The expression of a body which ends in `end`."""
    if len(body.codes) == 2:
        code, immediate = body.codes[0], body.immediates[0]
        if code in _CONSTS:
            kind, mask = _CONSTS[code]
            return Const(type=kind, bits=immediate & mask, span=span)
        if code == _GLOBAL_GET:
            return GlobalGet(index=immediate, span=span)
        if code == _REF_FUNC:
            return RefFunc(index=immediate, span=span)
        if code == _REF_NULL and isinstance(immediate, ValType):
            return RefNull(type=immediate, span=span)
    return InstExpr(body=body, span=span)


def instructions(expression: ConstExpr) -> Body:
    """The expression as a body which ends in `end`; the inverse of `simplify`."""
    match expression:
        case Const(type=kind, bits=bits):
            signed = kind in {ValType.I32, ValType.I64}
            half = 1 << (31 if kind in {ValType.I32, ValType.F32} else 63)
            value = bits - 2 * half if signed and bits >= half else bits
            return _single(_CONST_CODES[kind], value)
        case GlobalGet(index=index):
            return _single(_GLOBAL_GET, index)
        case RefFunc(index=index):
            return _single(_REF_FUNC, index)
        case RefNull(type=ref_type):
            return _single(_REF_NULL, ref_type)
        case _:
            return expression.body


def _single(code: int, immediate: object) -> Body:
    return Body(codes=(code, END), immediates=(immediate, None), offsets=(0, 0))
