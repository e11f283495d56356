"""Validation: rules in the testsuite's words, compared with wasmtime; places; limits; what this version lacks."""

from __future__ import annotations

import pickle

import pytest

from interlock import limits
from interlock.bytecode import (
    Body,
    Function,
    FuncType,
    Global,
    GlobalType,
    InstExpr,
    MemoryType,
    Module,
    ValidatedModule,
    ValType,
    code_of,
    decode,
    encode,
    parse_wat,
    validate,
)
from interlock.bytecode import Limits as Bounds
from interlock.errors import InternalError, LimitExceededError, UnsupportedError, WasmInvalidError
from tests.unit.bytecode import oracle

VALID = {
    "empty": "",
    "unreachable pops anything": "(func (result i32) unreachable i32.add)",
    "unreachable select": "(func (result i64) unreachable (select (i32.const 1)))",
    "unreachable select of one known": "(func (result f32) unreachable f32.const 1 i32.const 1 select)",
    "unreachable br_if": "(func (result i32) (block (result i32) unreachable br_if 0))",
    "unreachable br_table of two types": (
        "(func (block (result f32) (block (result i32) unreachable br_table 0 1 1) drop f32.const 1) drop)"
    ),
    "unreachable ref.is_null": "(func unreachable ref.is_null drop)",
    "code behind a branch": "(func (result i32) (block (result i32) i32.const 1 br 0 f64.add drop i32.const 2))",
    "return with more below": "(func (result i32) i64.const 1 i32.const 2 return)",
    "loop label takes parameters": "(func (result i32) i32.const 1 (loop (param i32) (result i32) br 0))",
    "if without else keeps parameters": (
        "(func (result i32) i32.const 1 i32.const 2 (if (param i32) (result i32) (then)))"
    ),
    "br_table": "(func (param i32) (block (block local.get 0 br_table 0 1 1 0)))",
    "br_table with values": (
        "(func (result i32) (block (result i32) (block (result i32) i32.const 1 i32.const 0 br_table 0 1)))"
    ),
    "br_table to a block and the function": (
        "(func (result i32) (block (result i32) i32.const 1 i32.const 0 br_table 0 1))"
    ),
    "select of references": (
        "(func (param externref externref) (result externref)"
        " local.get 0 local.get 1 i32.const 0 select (result externref))"
    ),
    "declared function": "(elem declare func 0) (func (result funcref) ref.func 0)",
    "exported function": '(func (export "f") (result funcref) ref.func 0)',
    "function of a global": "(global funcref (ref.func 0)) (func (result funcref) ref.func 0)",
    "global of a global before it": "(global i32 (i32.const 1)) (global i32 (global.get 0))",
    "limits": "(memory 65536 65536) (table 0 0xffffffff funcref)",
    "table copy": "(table 1 externref) (table 1 externref) (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))",
    "natural alignment": "(memory 1) (func (drop (i64.load align=8 (i32.const 0))))",
    "offset": "(memory 1) (func (drop (i64.load offset=0xffffffff (i32.const 0))))",
    "many results": "(func (result i32 i64 f32) i32.const 1 i64.const 1 f32.const 1)",
    "start": "(func $f) (start $f)",
    "tee": "(func (param i64) (result i64) i64.const 1 local.tee 0)",
}

INVALID = {
    "operand type": ("(func i32.const 1 i64.eqz drop)", "type mismatch: expected i64, found i32"),
    "no operand": ("(func drop)", "type mismatch: expected a value, found nothing"),
    "no typed operand": ("(func i32.eqz drop)", "type mismatch: expected i32, found nothing"),
    "values left": ("(func i32.const 1)", "values remaining on stack at end of block"),
    "no result": ("(func (result i32))", "type mismatch"),
    "dead code is typed": ("(func unreachable i64.const 1 i32.eqz drop)", "type mismatch"),
    "block cannot see outside": ("(func i32.const 1 (block drop) drop)", "type mismatch"),
    "branch without value": ("(func (result i32) (block (result i32) br 0))", "type mismatch"),
    "if without else changes the stack": (
        "(func (result i32) i32.const 1 if (result i32) i32.const 1 end)",
        "`if` without `else`",
    ),
    "label": ("(func br 1)", "unknown label 1"),
    "label of br_table": ("(func i32.const 0 br_table 0 7 0)", "unknown label 7"),
    "default label": ("(func i32.const 0 br_table 0 0 7)", "unknown label 7"),
    "arity of br_table": (
        "(func (block (block (result i32) i32.const 1 i32.const 0 br_table 0 1) drop))",
        "labels of different arity",
    ),
    "types of br_table": (
        "(func (drop (block (result f32) (drop (block (result i32) i32.const 1 i32.const 0 br_table 1 0)) f32.const 1)))",
        "type mismatch",
    ),
    "too few for br_table": (
        "(func (drop (block (result i32) (drop (block (result i64) i32.const 0 br_table 1 0)) i32.const 1)))",
        "type mismatch",
    ),
    "local": ("(func local.get 0 drop)", "unknown local 0"),
    "local to set": ("(func i32.const 0 local.set 3)", "unknown local 3"),
    "global": ("(func global.get 0 drop)", "unknown global 0"),
    "immutable global": ("(global i32 (i32.const 0)) (func i32.const 1 global.set 0)", "immutable global"),
    "function": ("(func call 3)", "unknown function 3"),
    "type of a function": ("(func (type 4))", "unknown type 4"),
    "type of an import": ('(import "" "" (func (type 4)))', "unknown type 4"),
    "type of a block": ("(func (block (type 4)))", "unknown type 4"),
    "type of a call": ("(table 0 funcref) (func (call_indirect (type 4) (i32.const 0)))", "unknown type 4"),
    "table of a call": ("(func (call_indirect (i32.const 0)))", "unknown table 0"),
    "table of a call is externref": ("(table 0 externref) (func (call_indirect (i32.const 0)))", "type mismatch"),
    "select types": ("(func i32.const 1 i64.const 1 i32.const 1 select drop)", "type mismatch: select of i32 and i64"),
    "select of references without type": (
        "(func (param funcref) local.get 0 local.get 0 i32.const 1 select drop)",
        "select without a type takes numbers",
    ),
    "select with two types": (
        "(func i32.const 1 i32.const 1 i32.const 1 select (result i32 i32) drop)",
        "invalid result arity",
    ),
    "alignment": ("(memory 1) (func (drop (i32.load align=8 (i32.const 0))))", "alignment must not be larger than natural"),
    "access without memory": ("(func (drop (i32.load (i32.const 0))))", "unknown memory 0"),
    "memory.size without memory": ("(func (drop (memory.size)))", "unknown memory 0"),
    "memory.grow without memory": ("(func (drop (memory.grow (i32.const 0))))", "unknown memory 0"),
    "memory.fill without memory": (
        "(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
        "unknown memory 0",
    ),
    "memory.copy without memory": (
        "(func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))",
        "unknown memory 0",
    ),
    "offset": ("(memory 1) (func (drop (i32.load offset=0x100000000 (i32.const 0))))", "offset out of range"),
    "segment of memory.init": (
        "(memory 1) (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
        "unknown data segment 0",
    ),
    "segment of data.drop": ("(func data.drop 0)", "unknown data segment 0"),
    "segment of elem.drop": ("(func elem.drop 0)", "unknown elem segment 0"),
    "segment of table.init": (
        "(table 0 funcref) (func (table.init 0 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
        "unknown elem segment 0",
    ),
    "types of table.init": (
        "(table 0 funcref) (elem externref) (func (table.init 0 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
        "segment and table of different types",
    ),
    "types of table.copy": (
        "(table 0 funcref) (table 0 externref) (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))",
        "tables of different types",
    ),
    "table.get": ("(func (drop (table.get 0 (i32.const 0))))", "unknown table 0"),
    "table.set": ("(table 0 funcref) (func (table.set 0 (i32.const 0) (ref.null extern)))", "type mismatch"),
    "table.fill": (
        "(table 0 funcref) (func (table.fill 0 (i32.const 0) (ref.null extern) (i32.const 0)))",
        "type mismatch",
    ),
    "table.grow": ("(table 0 funcref) (func (drop (table.grow 0 (ref.null extern) (i32.const 0))))", "type mismatch"),
    "table.size": ("(func (drop (table.size 0)))", "unknown table 0"),
    "ref.is_null of a number": ("(func (drop (ref.is_null (i32.const 0))))", "expected a reference"),
    "undeclared function": ("(func (drop (ref.func 0)))", "undeclared function reference"),
    "start makes no declaration": ("(func $f (drop (ref.func $f))) (start $f)", "undeclared function reference"),
    "ref.func of nothing": ("(func (drop (ref.func 9)))", "unknown function 9"),
    "memory size": ("(memory 65537)", "memory size must be at most 65536 pages"),
    "memory maximum": ("(memory 1 65537)", "memory size must be at most 65536 pages"),
    "limits": ("(memory 2 1)", "size minimum must not be greater than maximum"),
    "limits of a table": ("(table 2 1 funcref)", "size minimum must not be greater than maximum"),
    "limits of imports": ('(import "" "" (table 2 1 funcref))', "size minimum must not be greater than maximum"),
    "size of an import": ('(import "" "" (memory 65537))', "memory size"),
    "global type": ("(global i32 (i64.const 0))", "type mismatch: expected i32, found i64"),
    "global of itself": ("(global i32 (global.get 0))", "unknown global 0"),
    "global of a mutable one": (
        "(global (mut i32) (i32.const 0)) (global i32 (global.get 0))",
        "constant expression required",
    ),
    "global of a function that is not there": ("(global funcref (ref.func 0))", "unknown function 0"),
    "global of a null of another type": ("(global funcref (ref.null extern))", "type mismatch"),
    "instruction that is not constant": ("(global i32 (i32.ctz (i32.const 0)))", "constant expression required"),
    "empty constant expression": ("(global i32)", "type mismatch: not one value"),
    "two values": ("(global i32 (i32.const 0) (i32.const 0))", "type mismatch: not one value"),
    "export index": ('(export "f" (func 0))', "unknown function 0"),
    "export memory": ('(export "f" (memory 0))', "unknown memory 0"),
    "export twice": ('(func (export "f") (export "f"))', "duplicate export name"),
    "start index": ("(start 0)", "unknown function 0"),
    "start type": ("(func $f (param i32)) (start $f)", "start function"),
    "elem table": ("(elem (i32.const 0) func)", "unknown table 0"),
    "elem type": ("(table 0 funcref) (elem (i32.const 0) externref)", "type mismatch"),
    "elem item": ("(elem funcref (ref.null extern))", "type mismatch"),
    "elem function": ("(elem func 5)", "unknown function 5"),
    "elem offset": ("(table 0 funcref) (elem (i64.const 0) func)", "type mismatch"),
    "data memory": ('(data (i32.const 0) "")', "unknown memory 0"),
    "data offset": ('(memory 1) (data (f32.const 0) "")', "type mismatch"),
}  # fmt: skip

UNSUPPORTED = {
    "SIMD": "(func (param v128))",
    "SIMD local": "(func (local v128))",
    "SIMD global": "(global v128 (v128.const i64x2 0 0))",
    "SIMD import": '(import "" "" (global v128))',
    "SIMD instruction": "(func (drop (v128.const i64x2 0 0)))",
    "SIMD block": "(func (block (result v128) unreachable) drop)",
    "SIMD select": "(func unreachable select (result v128) drop)",
    "tail calls": "(func return_call 0)",
    "exception handling": "(func (try_table))",
    "garbage collection": "(func (drop (ref.i31 (i32.const 0))))",
    "garbage collection null": "(func (drop (ref.null any)))",
    "garbage collection constant": "(global i31ref (ref.i31 (i32.const 0)))",
    "garbage collection null constant": "(global funcref (ref.null nofunc))",
    "garbage collection conversion": "(global externref (extern.convert_any (ref.i31 (i32.const 0))))",
    "typed function references": "(func unreachable ref.as_non_null drop)",
    "threads": "(func atomic.fence)",
    "relaxed SIMD": "(func unreachable i8x16.relaxed_swizzle drop)",
    "multi-memory": "(memory 1) (memory 1)",
    "extended constant expressions": "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
}


@pytest.mark.parametrize("name", VALID)
def test_valid(name: str) -> None:
    data = oracle.wat2wasm(f"(module {VALID[name]})")

    validated = validate(decode(data))

    assert validate(parse_wat(f"(module {VALID[name]})"))
    assert validated.module == decode(data)
    assert oracle.is_valid(data)


@pytest.mark.parametrize("name", INVALID)
def test_invalid(name: str) -> None:
    fields, message = INVALID[name]
    data = oracle.wat2wasm(f"(module {fields})")

    with pytest.raises(WasmInvalidError) as caught:
        validate(decode(data))
    with pytest.raises(WasmInvalidError) as in_text:
        validate(parse_wat(f"(module {fields})"))

    assert message in caught.value.message
    assert message in in_text.value.message
    assert caught.value.span is not None
    assert 8 <= caught.value.span.start <= len(data)
    assert in_text.value.span is not None
    assert in_text.value.span.line == 1
    assert in_text.value.span.column >= len("(module ")
    assert not oracle.is_valid(data)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_this_version_lacks_is_named(name: str) -> None:
    data = oracle.wat2wasm(f"(module {UNSUPPORTED[name]})")

    with pytest.raises(UnsupportedError) as caught:
        validate(decode(data))

    assert caught.value.feature
    assert name.startswith(caught.value.feature)
    assert caught.value.span is not None
    assert oracle.is_valid(data)


def test_an_error_points_at_the_instruction() -> None:
    data = oracle.wat2wasm(
        "(module (func i32.const 1 f64.const 2 drop drop i32.const 1 f32.neg drop))"
    )

    with pytest.raises(WasmInvalidError) as caught:
        validate(decode(data, file="m.wasm"))

    assert caught.value.span is not None
    assert caught.value.span.start == data.index(b"\x8c")
    assert str(caught.value).startswith(f"m.wasm+{data.index(bytes([0x8C])):#x}: type mismatch")


# -- what a ValidatedModule offers -------------------------------------------------------------------------------------------


def test_index_spaces_begin_with_imports() -> None:
    validated = validate(decode(oracle.wat2wasm(oracle.seed("control"))))

    assert validated.imported_function_count == 1
    assert validated.imported_global_count == 1
    assert validated.imported_memory_count == 1
    assert validated.imported_table_count == 0
    assert validated.func_type(0) == FuncType((ValType.I32,), ())
    assert validated.func_type(2) == FuncType((ValType.I32,), (ValType.I32,))
    assert validated.function(2) is validated.module.functions[1]
    assert validated.local_types(2) == (ValType.I32, ValType.I32)
    assert [validated.import_type(item) for item in validated.module.imports] == [
        FuncType((ValType.I32,), ()),
        GlobalType(value_type=ValType.I32, mutable=False),
        MemoryType(limits=Bounds(minimum=1, maximum=4)),
    ]
    assert len(validated.global_types) == 3
    with pytest.raises(InternalError, match="is an import"):
        validated.function(0)


def test_block_types() -> None:
    validated = validate(parse_wat("(module (type (func (param i32) (result i32 i32))))"))

    assert validated.block_type(None) == FuncType((), ())
    assert validated.block_type(ValType.F64) == FuncType((), (ValType.F64,))
    assert validated.block_type(0).results == (ValType.I32, ValType.I32)


def test_only_validate_makes_a_validated_module() -> None:
    made = validate(Module())
    arguments = {name: getattr(made, name) for name in ValidatedModule.__slots__}

    with pytest.raises(InternalError, match="made by validate"):
        ValidatedModule(**arguments)


def test_a_validated_module_can_be_sent_to_another_process() -> None:
    validated = validate(decode(oracle.wat2wasm(oracle.seed("tables"))))

    assert pickle.loads(pickle.dumps(validated)) == validated  # noqa: S301  (our own bytes)


# -- modules made as objects, not decoded ---------------------------------------------------------------------------------------

END = code_of("end")


def _made(codes: tuple[int, ...], *, immediates: tuple[object, ...] | None = None) -> Module:
    body = Body(
        codes=codes,
        immediates=(None,) * len(codes) if immediates is None else immediates,
        offsets=(0,) * len(codes),
    )
    function = Function(type_index=0, local_runs=(), body=body)
    return Module(types=(FuncType((), ()),), functions=(function,))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ((), "END opcode expected"),
        ((code_of("nop"),), "END opcode expected"),
        ((END, code_of("nop")), "instructions after the end"),
        ((END, END), "instructions after the end"),
        ((code_of("else"), END), "else found outside"),
    ],
)
def test_a_body_ends_with_its_end(codes: tuple[int, ...], message: str) -> None:
    with pytest.raises(WasmInvalidError, match=message):
        validate(_made(codes))


def test_data_count_of_a_made_module() -> None:
    with pytest.raises(WasmInvalidError, match="data count and data section"):
        validate(Module(data_count=1))


def test_a_constant_expression_of_one_instruction_is_not_hidden_in_a_body() -> None:
    body = Body(codes=(code_of("i32.const"), END), immediates=(0, None), offsets=(0, 0))
    variable = Global(
        type=GlobalType(value_type=ValType.I32, mutable=False), init=InstExpr(body=body)
    )

    with pytest.raises(WasmInvalidError):
        validate(Module(globals=(variable,)))


# -- limits ----------------------------------------------------------------------------------------------------------------------


def _calls(count: int) -> Module:
    """A body whose calls leave 1,000 operands each."""
    return parse_wat(
        f"(module (func $f (result {'i32 ' * 1000}) unreachable) (func {'call $f ' * count} unreachable))"
    )


def test_operands_at_the_limit_and_past_it() -> None:
    # The floor of the function's frame takes one place.
    validate(_calls(limits.WASM_OPERANDS_MAX // 1000 - 1))

    with pytest.raises(LimitExceededError) as caught:
        validate(_calls(limits.WASM_OPERANDS_MAX // 1000))
    assert caught.value.limit == "WASM_OPERANDS_MAX"
    assert caught.value.span is not None


def test_nesting_at_the_limit_is_validated_without_recursion() -> None:
    depth = limits.WASM_NESTING_MAX
    text = f"(module (func {'(block ' * depth} br {depth} {')' * depth}))"

    assert validate(decode(encode(parse_wat(text))))


@pytest.mark.parametrize(
    ("index", "kind"), [(0, "i64"), (1, "f32"), (49_999, "f32"), (50_000, "f64")]
)
def test_very_many_locals_have_their_types(index: int, kind: str) -> None:
    text = f"(module (func (param i64) (result {kind}) (local {'f32 ' * 49_999} f64) local.get {index}))"

    assert validate(parse_wat(text))
    with pytest.raises(WasmInvalidError, match="unknown local"):
        validate(parse_wat(text.replace(f"local.get {index}", "local.get 50001")))
