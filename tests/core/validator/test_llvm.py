"""What LLVM makes of ordinary functions is accepted, for each level and processor that the code generator uses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.core.validator import assembly_aarch64
from tests.core.validator.assembly import compile_ir

if TYPE_CHECKING:
    from tests.core.validator.driver import Validator

INTEGER_OPS = [
    "add",
    "sub",
    "mul",
    "sdiv",
    "udiv",
    "srem",
    "urem",
    "shl",
    "lshr",
    "ashr",
    "and",
    "or",
    "xor",
]
FLOAT_OPS = ["fadd", "fsub", "fmul", "fdiv"]
UNARY = {
    "iN": ["ctpop", "bswap", "bitreverse"],
    "fN": ["sqrt", "fabs", "ceil", "floor", "trunc", "nearbyint", "rint"],
}
CASTS = (
    ("sitofp", "i64", "double"),
    ("uitofp", "i64", "double"),
    ("uitofp", "i32", "float"),
    ("sitofp", "i32", "float"),
    ("fptrunc", "double", "float"),
    ("fpext", "float", "double"),
    ("bitcast", "double", "i64"),
    ("bitcast", "i32", "float"),
    ("trunc", "i64", "i8"),
    ("sext", "i8", "i64"),
    ("zext", "i16", "i32"),
)
SATURATING = (("fptosi", "i32", "float"), ("fptoui", "i64", "double"), ("fptoui", "i32", "double"))


def _scalars() -> str:
    parts = []
    for bits in (8, 16, 32, 64):
        t = f"i{bits}"
        for op in INTEGER_OPS:
            parts.append(
                f"define {t} @{op}_{t}({t} %a, {t} %b) {{ %r = {op} {t} %a, %b ret {t} %r }}"
            )
            parts.append(f"define {t} @{op}_imm_{t}({t} %a) {{ %r = {op} {t} %a, 7 ret {t} %r }}")
            parts.append(
                f"define void @{op}_mem_{t}(ptr %p, {t} %b) {{ %a = load {t}, ptr %p "
                f"%r = {op} {t} %a, %b store {t} %r, ptr %p ret void }}"
            )
        for name in UNARY["iN"]:
            if name != "bswap" or bits > 8:
                parts += _intrinsic(name, t, 1)
        for name in ("ctlz", "cttz"):
            parts.append(f"declare {t} @llvm.{name}.{t}({t}, i1)")
            parts.append(
                f"define {t} @{name}_{t}({t} %a) {{ %r = call {t} @llvm.{name}.{t}({t} %a, i1 false) ret {t} %r }}"
            )
        for name in ("smax", "umin", "abs", "sadd.sat", "usub.sat"):
            if name != "abs":
                parts += _intrinsic(name, t, 2)
        parts += _rotate(t)
        parts.append(
            f"define {t} @rmw_{t}(ptr %p, {t} %v) {{ %r = atomicrmw add ptr %p, {t} %v seq_cst "
            f"%s = atomicrmw xchg ptr %p, {t} %r acquire %x = cmpxchg ptr %p, {t} %r, {t} %s seq_cst seq_cst "
            f"%y = extractvalue {{{t}, i1}} %x, 0 fence seq_cst ret {t} %y }}"
        )
    for t in ("float", "double"):
        suffix = {"float": "f32", "double": "f64"}[t]
        for op in FLOAT_OPS:
            parts.append(
                f"define {t} @{op}_{suffix}({t} %a, {t} %b) {{ %r = {op} {t} %a, %b ret {t} %r }}"
            )
            parts.append(
                f"define {t} @{op}_const_{suffix}({t} %a) {{ %r = {op} {t} %a, 3.5 ret {t} %r }}"
            )
        for name in UNARY["fN"]:
            parts += _intrinsic(f"{name}", t, 1, suffix)
        for name in ("minimum", "maximum", "copysign", "minnum"):
            parts += _intrinsic(name, t, 2, suffix)
        for predicate in ("oeq", "une", "olt", "ugt", "uno"):
            parts.append(
                f"define i1 @cmp_{predicate}_{suffix}({t} %a, {t} %b) {{ %r = fcmp {predicate} {t} %a, %b ret i1 %r }}"
            )
    for op, source, target in CASTS:
        parts.append(
            f"define {target} @{op}_{source}_{target}({source} %a) {{ %r = {op} {source} %a to {target} ret {target} %r }}"
        )
    for name, target, source in SATURATING:
        suffix = {"float": "f32", "double": "f64"}[source]
        full = f"@llvm.{name}.sat.{target}.{suffix}"
        parts.append(f"declare {target} {full}({source})")
        parts.append(
            f"define {target} @{name}_{target}_{suffix}({source} %a) {{ %r = call {target} {full}({source} %a) ret {target} %r }}"
        )
    return "\n".join(parts)


def _intrinsic(name: str, t: str, count: int, suffix: str = "") -> list[str]:
    types, values = ", ".join([t] * count), ", ".join(f"{t} %a{n}" for n in range(count))
    full = f"@llvm.{name}.{suffix or t}"
    symbol = f"{name.replace('.', '_')}_{t}"
    return [
        f"declare {t} {full}({types})",
        f"define {t} @{symbol}({values}) {{ %r = call {t} {full}({values}) ret {t} %r }}",
    ]


def _rotate(t: str) -> list[str]:
    return [
        f"declare {t} @llvm.fshl.{t}({t}, {t}, {t})",
        f"define {t} @rotate_{t}({t} %a, {t} %b) {{ %r = call {t} @llvm.fshl.{t}({t} %a, {t} %a, {t} %b) ret {t} %r }}",
        f"define {t} @funnel_{t}({t} %a, {t} %b, {t} %c) {{ %r = call {t} @llvm.fshl.{t}({t} %a, {t} %b, {t} %c) ret {t} %r }}",
    ]


def _loops() -> str:
    parts = []
    for t, op in [
        *(
            (f"i{bits}", op)
            for bits in (8, 16, 32, 64)
            for op in ("add", "sub", "mul", "xor", "shl")
        ),
        *((t, op) for t in ("float", "double") for op in FLOAT_OPS),
    ]:
        parts.append(f"""
define void @map_{op}_{t}(ptr noalias %d, ptr noalias %s, ptr noalias %u, i64 %n) {{
entry: br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %p = getelementptr {t}, ptr %s, i64 %i
  %q = getelementptr {t}, ptr %u, i64 %i
  %o = getelementptr {t}, ptr %d, i64 %i
  %a = load {t}, ptr %p
  %b = load {t}, ptr %q
  %r = {op} {t} %a, %b
  store {t} %r, ptr %o
  %next = add nuw i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done: ret void
}}
define {t} @fold_{op}_{t}(ptr %s, i64 %n, {t} %z) {{
entry: br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %a = phi {t} [%z, %entry], [%r, %loop]
  %p = getelementptr {t}, ptr %s, i64 %i
  %b = load {t}, ptr %p
  %r = {op} {"fast " if op.startswith("f") else ""}{t} %a, %b
  %next = add nuw i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done: ret {t} %r
}}""")
    return "\n".join(parts)


def _switch(cases: int) -> str:
    labels = " ".join(f"i32 {n}, label %c{n}" for n in range(cases))
    blocks = "\n".join(
        f"c{n}: %x{n} = {('add', 'mul', 'xor')[n % 3]} i64 %a, {n * 77 + 3}\n br label %next"
        for n in range(cases)
    )
    merge = ", ".join(f"[%x{n}, %c{n}]" for n in range(cases))
    live = "".join(f"%v{n} = load volatile i64, ptr %p\n" for n in range(14))
    use = "".join(f"%s{n} = add i64 %v{n}, {f'%s{n - 1}' if n else '%m'}\n" for n in range(14))
    return f"""
declare void @llvm.ubsantrap(i8)
declare i64 @outside(i64)
define i64 @switch_{cases}(ptr %p, i64 %n) {{
entry:
  {live}
  br label %loop
loop:
  %a = phi i64 [0, %entry], [%m, %next]
  %k = load volatile i32, ptr %p
  switch i32 %k, label %trap [ {labels} i32 {cases}, label %done ]
{blocks}
next:
  %m = phi i64 {merge}
  %o = call i64 @outside(i64 %m)
  {use}
  store volatile i64 %s13, ptr %p
  br label %loop
trap: call void @llvm.ubsantrap(i8 7)
  unreachable
done: ret i64 %a
}}
define i64 @lookup_{cases}(i32 %k) {{
  switch i32 %k, label %none [ {" ".join(f"i32 {n}, label %r{n}" for n in range(cases))} ]
{chr(10).join(f"r{n}: ret i64 {n * n * 1000003 + 1}" for n in range(cases))}
none: ret i64 0
}}"""


MEMORY = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @callee(i64, i64, i64, i64, i64, i64, i64, i64)
define void @copy_64(ptr %a, ptr %b) { call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 64, i1 0) ret void }
define void @copy_200(ptr %a, ptr %b) { call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 200, i1 0) ret void }
define void @copy_n(ptr %a, ptr %b, i64 %n) { call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 %n, i1 0) ret void }
define void @copy_inline(ptr %a, ptr %b) minsize { call void @llvm.memcpy.p0.p0.i64(ptr align 8 %a, ptr align 8 %b, i64 120, i1 0) ret void }
define void @set_100(ptr %a, i8 %v) { call void @llvm.memset.p0.i64(ptr %a, i8 %v, i64 100, i1 0) ret void }
define i64 @frame(i64 %x) {
  %p = alloca [4096 x i64], align 64
  %q = getelementptr i64, ptr %p, i64 %x
  store volatile i64 %x, ptr %q
  %r = call i64 @callee(i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 %x)
  %v = load volatile i64, ptr %q
  %s = add i64 %r, %v
  ret i64 %s
}
define i64 @through(ptr %f, i64 %x) { %r = call i64 %f(i64 %x) %s = add i64 %r, 1 ret i64 %s }
define i64 @recurse(i64 %x) {
  %z = icmp eq i64 %x, 0
  br i1 %z, label %a, label %b
a: ret i64 1
b: %y = sub i64 %x, 1
  %r = call i64 @recurse(i64 %y)
  %s = mul i64 %r, %x
  ret i64 %s
}
define i128 @wide(i128 %a, i128 %b) { %r = mul i128 %a, %b %s = add i128 %r, %b %t = lshr i128 %s, 13 ret i128 %t }
define <8 x float> @fma(<8 x float> %a, <8 x float> %b, <8 x float> %c) {
  %m = fmul contract <8 x float> %a, %b
  %r = fadd contract <8 x float> %m, %c
  ret <8 x float> %r
}
define <16 x i8> @shuffle(<16 x i8> %a, <16 x i8> %b) {
  %r = shufflevector <16 x i8> %a, <16 x i8> %b, <16 x i32> <i32 0, i32 17, i32 2, i32 19, i32 4, i32 21, i32 6, i32 23, i32 8, i32 25, i32 10, i32 27, i32 12, i32 29, i32 14, i32 31>
  ret <16 x i8> %r
}
"""
MODULES = {
    "scalars": _scalars(),
    "loops": _loops(),
    "switch": _switch(9),
    "big switch": _switch(60),
    "memory": MEMORY,
}


@pytest.mark.parametrize("cpu", ["x86-64-v2", "x86-64-v3"])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("name", sorted(MODULES))
def test_compiled_code_is_accepted(validator: Validator, name: str, level: int, cpu: str):
    image = compile_ir(MODULES[name], cpu=cpu, level=level)

    found = validator.every(image)

    assert found == []


@pytest.mark.parametrize("cpu", ["x86-64-v2", "x86-64-v3"])
def test_switches_really_become_tables(validator: Validator, cpu: str):
    image = compile_ir(_switch(60), cpu=cpu)

    verdict = validator.first(replace(image, tables=()))

    assert image.tables
    assert verdict is not None
    assert verdict.rule == 21


AARCH64_CPUS = ["generic", "apple-m1", "neoverse-n1"]


@pytest.mark.parametrize("cpu", AARCH64_CPUS)
@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("name", sorted(MODULES))
def test_code_compiled_for_aarch64_is_accepted(
    validator: Validator, name: str, level: int, cpu: str
):
    # No vector needs more than 16 bytes there, so frames are never realigned.
    ir = MODULES[name].replace("align 64", "align 16")
    image = assembly_aarch64.compile_ir(ir, cpu=cpu, level=level)

    found = validator.every(image)

    assert found == []


@pytest.mark.parametrize("cpu", AARCH64_CPUS)
def test_switches_really_become_tables_on_aarch64(validator: Validator, cpu: str):
    image = assembly_aarch64.compile_ir(_switch(60), cpu=cpu)

    verdict = validator.first(replace(image, tables=()))

    assert image.tables
    assert verdict is not None
    assert verdict.rule == 21
