"""How each scalar instruction without control flow or memory lowers: one row an opcode, in LLVM's own notation.

    name    template

In a template `$0`, `$1` are the operands; each `;` ends a line, whose value is `%t` in the next, and the last line gives the
result.  Templates with a trap are in `lowering.py`.  The rows are checked against the opcode table when they are read.
"""

from __future__ import annotations

import re
from typing import Final

from interlock.bytecode import BY_NAME, ValType
from interlock.errors import InternalError

IR_TYPES: Final = {
    ValType.I32: "i32",
    ValType.I64: "i64",
    ValType.F32: "float",
    ValType.F64: "double",
    ValType.FUNCREF: "i64",
    ValType.EXTERNREF: "i64",
}

# {T} is i32 or i64, {M} its width minus one.
_INTEGER: Final = """
add     add {T} $0, $1
sub     sub {T} $0, $1
mul     mul {T} $0, $1
and     and {T} $0, $1
or      or {T} $0, $1
xor     xor {T} $0, $1
shl     and {T} $1, {M}; shl {T} $0, %t
shr_s   and {T} $1, {M}; ashr {T} $0, %t
shr_u   and {T} $1, {M}; lshr {T} $0, %t
rotl    call {T} @llvm.fshl.{T}({T} $0, {T} $0, {T} $1)
rotr    call {T} @llvm.fshr.{T}({T} $0, {T} $0, {T} $1)
clz     call {T} @llvm.ctlz.{T}({T} $0, i1 false)
ctz     call {T} @llvm.cttz.{T}({T} $0, i1 false)
popcnt  call {T} @llvm.ctpop.{T}({T} $0)
extend8_s   trunc {T} $0 to i8; sext i8 %t to {T}
extend16_s  trunc {T} $0 to i16; sext i16 %t to {T}
eqz     icmp eq {T} $0, 0
eq      icmp eq {T} $0, $1
ne      icmp ne {T} $0, $1
lt_s    icmp slt {T} $0, $1
lt_u    icmp ult {T} $0, $1
gt_s    icmp sgt {T} $0, $1
gt_u    icmp ugt {T} $0, $1
le_s    icmp sle {T} $0, $1
le_u    icmp ule {T} $0, $1
ge_s    icmp sge {T} $0, $1
ge_u    icmp uge {T} $0, $1
"""

# {T} is float or double, {S} LLVM's suffix.
_FLOAT: Final = """
add     fadd {T} $0, $1
sub     fsub {T} $0, $1
mul     fmul {T} $0, $1
div     fdiv {T} $0, $1
copysign call {T} @llvm.copysign.{S}({T} $0, {T} $1)
abs     call {T} @llvm.fabs.{S}({T} $0)
neg     fneg {T} $0
ceil    call {T} @llvm.ceil.{S}({T} $0)
floor   call {T} @llvm.floor.{S}({T} $0)
trunc   call {T} @llvm.trunc.{S}({T} $0)
nearest call {T} @llvm.roundeven.{S}({T} $0)
sqrt    call {T} @llvm.sqrt.{S}({T} $0)
eq      fcmp oeq {T} $0, $1
ne      fcmp une {T} $0, $1
lt      fcmp olt {T} $0, $1
gt      fcmp ogt {T} $0, $1
le      fcmp ole {T} $0, $1
ge      fcmp oge {T} $0, $1
"""

_CONVERSION: Final = """
i64.extend32_s      trunc i64 $0 to i32; sext i32 %t to i64
i32.wrap_i64        trunc i64 $0 to i32
i64.extend_i32_s    sext i32 $0 to i64
i64.extend_i32_u    zext i32 $0 to i64
f32.convert_i32_s   sitofp i32 $0 to float
f32.convert_i32_u   uitofp i32 $0 to float
f32.convert_i64_s   sitofp i64 $0 to float
f32.convert_i64_u   uitofp i64 $0 to float
f64.convert_i32_s   sitofp i32 $0 to double
f64.convert_i32_u   uitofp i32 $0 to double
f64.convert_i64_s   sitofp i64 $0 to double
f64.convert_i64_u   uitofp i64 $0 to double
f32.demote_f64      fptrunc double $0 to float
f64.promote_f32     fpext float $0 to double
i32.reinterpret_f32 bitcast float $0 to i32
i64.reinterpret_f64 bitcast double $0 to i64
f32.reinterpret_i32 bitcast i32 $0 to float
f64.reinterpret_i64 bitcast i64 $0 to double
i32.trunc_sat_f32_s call i32 @llvm.fptosi.sat.i32.f32(float $0)
i32.trunc_sat_f32_u call i32 @llvm.fptoui.sat.i32.f32(float $0)
i32.trunc_sat_f64_s call i32 @llvm.fptosi.sat.i32.f64(double $0)
i32.trunc_sat_f64_u call i32 @llvm.fptoui.sat.i32.f64(double $0)
i64.trunc_sat_f32_s call i64 @llvm.fptosi.sat.i64.f32(float $0)
i64.trunc_sat_f32_u call i64 @llvm.fptoui.sat.i64.f32(float $0)
i64.trunc_sat_f64_s call i64 @llvm.fptosi.sat.i64.f64(double $0)
i64.trunc_sat_f64_u call i64 @llvm.fptoui.sat.i64.f64(double $0)
ref.is_null         icmp eq i64 $0, 0
"""

# Value types that each memory access has on the stack and in memory; loads of a narrower integer extend it.
_ACCESS: Final = """
i32.load i32 - i32        i64.load i64 - i64        f32.load float - float    f64.load double - double
i32.load8_s i8 sext i32   i32.load8_u i8 zext i32   i32.load16_s i16 sext i32 i32.load16_u i16 zext i32
i64.load8_s i8 sext i64   i64.load8_u i8 zext i64   i64.load16_s i16 sext i64 i64.load16_u i16 zext i64
i64.load32_s i32 sext i64 i64.load32_u i32 zext i64
i32.store i32 - i32       i64.store i64 - i64       f32.store float - float   f64.store double - double
i32.store8 i8 trunc i32   i32.store16 i16 trunc i32 i64.store8 i8 trunc i64   i64.store16 i16 trunc i64
i64.store32 i32 trunc i64
"""

_INTRINSIC: Final = re.compile(r"call (\S+) @(llvm\.[\w.]+)\((.*)\)")


def _expand(prefix: str, rows: str, **words: str) -> dict[str, tuple[str, ...]]:
    found = {}
    for row in rows.strip().splitlines():
        name, template = row.split(None, 1)
        text = template
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", value)
        found[prefix + name] = tuple(line.strip() for line in text.split(";"))
    return found


def _templates() -> dict[int, tuple[str, ...]]:
    named: dict[str, tuple[str, ...]] = {}
    for width in ("32", "64"):
        named |= _expand(f"i{width}.", _INTEGER, T=f"i{width}", M=str(int(width) - 1))
    named |= _expand("f32.", _FLOAT, T="float", S="f32")
    named |= _expand("f64.", _FLOAT, T="double", S="f64")
    named |= _expand("", _CONVERSION)
    for name in named:
        if name not in BY_NAME:
            raise InternalError(stage="lowering", detail=f"no opcode is named {name}")
    return {BY_NAME[name].code: lines for name, lines in named.items()}


TEMPLATES: Final = _templates()
"""Lines by `Opcode.code`.  A last line that starts with icmp or fcmp gives an i1, to be widened to i32."""


def _accesses() -> dict[int, tuple[str, str, str]]:
    words = _ACCESS.split()
    rows = [words[at : at + 4] for at in range(0, len(words), 4)]
    return {BY_NAME[name].code: (memory, how, value) for name, memory, how, value in rows}


ACCESSES: Final = _accesses()
"""(type in memory, `-` or sext zext trunc, type on the stack) by `Opcode.code`."""


def _declarations() -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for code, lines in TEMPLATES.items():
        match = _INTRINSIC.match(lines[-1])
        if match is not None:
            types = ", ".join(argument.split()[0] for argument in match[3].split(","))
            found[code] = (match[2], f"declare {match[1]} @{match[2]}({types})")
    return found


DECLARATIONS: Final = _declarations()
"""The intrinsic of LLVM that a template calls: its name and declaration, by `Opcode.code`."""
