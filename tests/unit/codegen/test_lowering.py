"""Properties of the LLVM IR that lowering makes."""

from __future__ import annotations

import itertools
import re

import pytest

from interlock import bytecode
from interlock.bytecode import OPCODES, VALIDATED_FEATURES
from interlock.codegen import InstanceLayout, lower
from interlock.codegen.instructions import HANDLERS
from interlock.target import X86_64_LINUX_V2


def _ir(wat: str, index: int | None = None) -> str:
    module = bytecode.validate(bytecode.parse_wat(wat))
    index = module.imported_function_count if index is None else index
    return lower(module, InstanceLayout(module), index, X86_64_LINUX_V2)


@pytest.mark.parametrize(
    "opcode", [each for each in OPCODES if each.feature in VALIDATED_FEATURES], ids=str
)
def test_every_instruction_that_is_validated_is_lowered(opcode: bytecode.Opcode) -> None:
    assert opcode.code in HANDLERS


def test_nothing_else_is_lowered() -> None:
    assert len(HANDLERS) == sum(each.feature in VALIDATED_FEATURES for each in OPCODES)


def test_code_that_cannot_be_reached_is_left_out() -> None:
    ir = _ir("""(module (func (result i32)
      (block (result i32) (return (i32.const 1)) (i32.mul (i32.const 2) (i32.const 3))
        (if (then (drop (i32.const 4))) (else unreachable)) (i32.const 5))))""")

    assert " mul " not in ir
    assert "ubsantrap(i8 1)" not in ir


def test_a_loop_with_parameters_has_a_phi_for_each_edge() -> None:
    ir = _ir("""(module (func (param i32) (result i32)
      (local.get 0) (i32.const 7)
      (loop (param i32 i32) (result i32)
        (i32.add) (local.tee 0) (i32.const 3)
        (br_if 0 (i32.lt_u (local.get 0) (i32.const 99)))
        (drop))))""")

    phis = [line for line in ir.splitlines() if " phi i32 " in line]
    # Two parameters, and the function's own result.
    assert [line.count("[") for line in phis] == [2, 2, 1]


def test_only_functions_that_call_compare_the_stack() -> None:
    leaf = _ir("(module (memory 1) (func (param i32) (result i32) (i32.load (local.get 0))))")
    caller = _ir('(module (import "a" "b" (func $b)) (func (call $b)))')
    grower = _ir("(module (memory 1) (func (drop (memory.grow (i32.const 1)))))")

    assert "read_register" not in leaf
    assert "read_register" in caller
    assert "read_register" in grower


def test_accesses_that_a_trap_makes_visible_are_volatile() -> None:
    ir = _ir("""(module (memory 1) (global $g (mut i64) (i64.const 0)) (table 1 funcref)
      (func (param i32)
        (i64.store (local.get 0) (i64.load (local.get 0)))
        (global.set $g (i64.const 1))
        (table.set (i32.const 0) (ref.null func))))""")

    stores = [line for line in ir.splitlines() if "store " in line and "ptr %l" not in line]
    assert len(stores) == 3
    assert all("store volatile" in line for line in stores)
    assert "load volatile i64" in ir


def test_a_function_calls_itself_directly_and_others_through_their_funcref() -> None:
    ir = _ir("(module (func $f (call $f) (call $g)) (func $g))")

    assert len(re.findall(r"call void @f\(", ir)) == 1
    assert len(re.findall(r"call void %v\d+\(", ir)) == 1


def test_layout_has_pointers_for_imports_and_room_for_definitions() -> None:
    module = bytecode.validate(
        bytecode.parse_wat("""(module (import "a" "m" (memory 1)) (import "a" "t" (table 1 funcref))
          (import "a" "g" (global i32)) (import "a" "f" (func))
          (table 1 funcref) (global i64 (i64.const 1)) (func) (func)
          (data "x") (elem func 0))""")
    )
    layout = InstanceLayout(module)

    places = [
        *(layout.memory(0), layout.table(0), layout.table(1), layout.global_(0), layout.global_(1)),
        *(layout.function(0), layout.function(1), layout.function(2), layout.type_id(0)),
        *(layout.data_segment(0), layout.elem_segment(0), layout.size),
    ]
    sizes = [8, 8, 32, 8, 8, 8, 24, 24, 8, 16, 16]
    assert places[0] == 24  # after the header
    assert [after - before for before, after in itertools.pairwise(places)] == sizes
