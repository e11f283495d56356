"""How each instruction lowers: one function an instruction, or one a family whose table is beside it.

Each takes the builder, `Opcode.code` and the immediate, and returns False when the code behind it cannot be reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.bytecode import BY_NAME, OPCODES, ValType
from interlock.codegen.function_builder import (
    CONSTANT,
    DIVIDE_BY_ZERO,
    IN_CONTEXT,
    IN_MEMORY,
    INTEGER_OVERFLOW,
    INVALID_CONVERSION,
    TYPE_MISMATCH,
    UNDEFINED_ELEMENT,
    UNINITIALIZED_ELEMENT,
    UNREACHABLE,
    FunctionBuilder,
)
from interlock.codegen.protocol import SYMBOL
from interlock.codegen.scalar_rows import ACCESSES, DECLARATIONS, IR_TYPES, TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.bytecode import Immediate


def _nop(_lowering: FunctionBuilder, _code: int, _immediate: Immediate) -> None:
    return


def _unreachable(to: FunctionBuilder, _code: int, _immediate: Immediate) -> bool:
    to.line(f"br label %{to.trap_label(UNREACHABLE)}")
    return False


def _block(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    to.open_frame(to.module.block_type(immediate), is_loop=False)


def _loop(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    frame = to.open_frame(to.module.block_type(immediate), is_loop=True)
    to.line(f"br label %{frame.label}")
    operands = to.pop_many(len(frame.operand_types))
    frame.edges.append((to.block, operands))
    to.begin_block(frame.label)
    for ir_type in frame.operand_types:
        frame.param_phis.append((len(to.out), to.value("")))
        to.push(frame.param_phis[-1][1], ir_type)


def _if(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    condition = to.condition(to.pop())
    frame = to.open_frame(to.module.block_type(immediate), is_loop=False)
    frame.else_operands = to.stack[frame.height :]
    then, frame.else_label = to.label(), to.label()
    to.line(f"br i1 {condition}, label %{then}, label %{frame.else_label}")
    to.begin_block(then)


def _else(to: FunctionBuilder, _code: int, _immediate: Immediate) -> bool:
    to.line(f"br label %{to.branch(0)}")
    return to.begin_else()


def _end(to: FunctionBuilder, _code: int, _immediate: Immediate) -> bool:
    return to.end(is_reached=True)


def _br(to: FunctionBuilder, _code: int, immediate: Immediate) -> bool:
    to.line(f"br label %{to.branch(immediate)}")
    return False


def _br_if(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    condition = to.condition(to.pop())
    target, after = to.branch(immediate), to.label()
    to.line(f"br i1 {condition}, label %{target}, label %{after}")
    to.begin_block(after)


def _br_table(to: FunctionBuilder, _code: int, immediate: Immediate) -> bool:
    index = to.pop()
    *depths, default = immediate
    cases = " ".join(f"i32 {at}, label %{to.branch(depth)}" for at, depth in enumerate(depths))
    to.line(f"switch i32 {index}, label %{to.branch(default)} [ {cases} ]")
    return False


def _return(to: FunctionBuilder, _code: int, _immediate: Immediate) -> bool:
    to.line(f"br label %{to.branch(len(to.frames) - 1)}")
    return False


def _call(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    target = to.module.func_type(immediate)
    if immediate == to.func_index:
        to.call(target, f"@{SYMBOL}", "%vmctx")
        return
    funcref = to.function(immediate)
    code = to.word(funcref, 0, "ptr")
    is_imported = immediate < to.module.imported_function_count
    to.call(target, code, to.word(funcref, 8, "ptr") if is_imported else "%vmctx")


def _call_indirect(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    type_index, table_index = immediate
    table = to.table(table_index)
    wide = to.widen(to.pop())
    to.trap_if(to.value(f"icmp uge i64 {wide}, {to.word(table, 8)}"), UNDEFINED_ELEMENT)
    elements = to.word(table, 0, "ptr")
    funcref = to.word(to.value(f"getelementptr i64, ptr {elements}, i64 {wide}"), 0, "ptr")
    to.trap_if(to.value(f"icmp eq ptr {funcref}, null"), UNINITIALIZED_ELEMENT)
    offset = to.layout.type_id(type_index)
    expected = to.at_entry(
        f"%type{type_index}",
        f"%type{type_index}.slot = getelementptr i8, ptr %vmctx, i64 {offset}",
        f"%type{type_index} = load i64, ptr %type{type_index}.slot{CONSTANT}",
    )
    found = to.word(funcref, 16)
    to.trap_if(to.value(f"icmp ne i64 {found}, {expected}"), TYPE_MISMATCH)
    code = to.word(funcref, 0, "ptr")
    to.call(to.module.module.types[type_index], code, to.word(funcref, 8, "ptr"))


def _drop(to: FunctionBuilder, _code: int, _immediate: Immediate) -> None:
    to.pop()


def _select(to: FunctionBuilder, _code: int, _immediate: Immediate) -> None:
    condition = to.condition(to.pop())
    ir_type = to.types[-1]
    second, first = to.pop(), to.pop()
    chosen = to.value(f"select i1 {condition}, {ir_type} {first}, {ir_type} {second}")
    to.push(chosen, ir_type)


def _local_get(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    ir_type = to.local_ir_types[immediate]
    to.push(to.value(f"load {ir_type}, ptr %l{immediate}"), ir_type)


def _local_set(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    ir_type = to.local_ir_types[immediate]
    to.line(f"store {ir_type} {to.pop()}, ptr %l{immediate}")


def _local_tee(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    ir_type = to.local_ir_types[immediate]
    to.line(f"store {ir_type} {to.stack[-1]}, ptr %l{immediate}")


def _global_get(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    ir_type = IR_TYPES[to.module.global_types[immediate].value_type]
    to.push(to.value(f"load {ir_type}, ptr {to.global_(immediate)}{IN_CONTEXT}"), ir_type)


def _global_set(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    ir_type = IR_TYPES[to.module.global_types[immediate].value_type]
    # Volatile: whoever looks after a trap sees it, also when LLVM knows that the trap comes.
    to.line(f"store volatile {ir_type} {to.pop()}, ptr {to.global_(immediate)}{IN_CONTEXT}")


def _constant(to: FunctionBuilder, code: int, immediate: Immediate) -> None:
    name, ir_type = _CONSTANTS[code]
    # A float's bits as they are: LLVM's decimal notation knows no NaN payloads.
    text = f"bitcast ({name} {immediate} to {ir_type})" if name != ir_type else str(immediate)
    to.push(text, ir_type)


_CONSTANTS: Final = {
    BY_NAME["i32.const"].code: ("i32", "i32"),
    BY_NAME["i64.const"].code: ("i64", "i64"),
    BY_NAME["f32.const"].code: ("i32", "float"),
    BY_NAME["f64.const"].code: ("i64", "double"),
}


def _address(to: FunctionBuilder, operand: str, immediate: Immediate) -> str:
    """The address of an access: past the end of the memory lies nothing but its own reservation, so no check."""
    wide = to.widen(operand)
    if immediate.offset:
        wide = to.value(f"add nuw nsw i64 {wide}, {immediate.offset}")
    return to.value(f"getelementptr i8, ptr {to.memory_base(immediate.memory_index)}, i64 {wide}")


def _load(to: FunctionBuilder, code: int, immediate: Immediate) -> None:
    memory_type, extend, ir_type = ACCESSES[code]
    address = _address(to, to.pop(), immediate)
    loaded = to.value(f"load {to.volatile}{memory_type}, ptr {address}, align 1{IN_MEMORY}")
    if memory_type != ir_type:
        loaded = to.value(f"{extend} {memory_type} {loaded} to {ir_type}")
    to.push(loaded, ir_type)


def _store(to: FunctionBuilder, code: int, immediate: Immediate) -> None:
    memory_type, _, ir_type = ACCESSES[code]
    stored = to.pop()
    address = _address(to, to.pop(), immediate)
    if memory_type != ir_type:
        stored = to.value(f"trunc {ir_type} {stored} to {memory_type}")
    to.line(f"store {to.volatile}{memory_type} {stored}, ptr {address}, align 1{IN_MEMORY}")


def _memory_size(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    pages = to.value(f"lshr i64 {to.word(to.memory(immediate), 8)}, 16")
    to.push(to.value(f"trunc i64 {pages} to i32"), "i32")


def _memory_grow(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    pages = to.gate("memory_grow", to.memory(immediate), to.widen(to.pop()))
    to.push(to.value(f"trunc i64 {pages} to i32"), "i32")


def _memory_fill(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    start, value, count = to.pop_many(3)
    to.gate("memory_fill", to.memory(immediate), to.widen(start), value, to.widen(count))


def _memory_copy(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    to.gate("memory_copy", to.memory(immediate[0]), to.memory(immediate[1]), *operands)


def _memory_init(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    segment = to.in_vmctx(to.layout.data_segment(immediate[0]))
    to.gate("memory_init", to.memory(immediate[1]), segment, *operands)


def _data_drop(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    to.gate("data_drop", to.in_vmctx(to.layout.data_segment(immediate)))


def _elem_drop(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    to.gate("elem_drop", to.in_vmctx(to.layout.elem_segment(immediate)))


def _table_init(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    segment = to.in_vmctx(to.layout.elem_segment(immediate[0]))
    to.gate("table_init", to.table(immediate[1]), segment, *operands)


def _table_copy(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    to.gate("table_copy", to.table(immediate[0]), to.table(immediate[1]), *operands)


def _table_fill(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    start, value, count = to.pop_many(3)
    to.gate("table_fill", to.table(immediate), to.widen(start), value, to.widen(count))


def _table_grow(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    value, delta = to.pop_many(2)
    grown = to.gate("table_grow", to.table(immediate), value, to.widen(delta))
    to.push(to.value(f"trunc i64 {grown} to i32"), "i32")


def _table_size(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    to.push(to.value(f"trunc i64 {to.word(to.table(immediate), 8)} to i32"), "i32")


def _table_get(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    place = to.table_place(to.table(immediate), to.pop())
    to.push(to.value(f"load i64, ptr {place}{IN_CONTEXT}"), "i64")


def _table_set(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    value, index = to.pop(), to.pop()
    place = to.table_place(to.table(immediate), index)
    to.line(f"store volatile i64 {value}, ptr {place}{IN_CONTEXT}")


def _ref_null(to: FunctionBuilder, _code: int, _immediate: Immediate) -> None:
    to.push("0", "i64")


def _ref_func(to: FunctionBuilder, _code: int, immediate: Immediate) -> None:
    to.push(to.value(f"ptrtoint ptr {to.function(immediate)} to i64"), "i64")


def _scalar(to: FunctionBuilder, code: int, _immediate: Immediate) -> None:
    lines, param_count, ir_type, is_condition = _SCALARS[code]
    operands = to.pop_many(param_count)
    declaration = DECLARATIONS.get(code)
    if declaration is not None:
        to.declarations[declaration[0]] = declaration[1]
    if code in _ARITHMETIC:
        operands = _fenced(to, _ARITHMETIC[code], operands)
    name = ""
    for line in lines:
        text = line.replace("%t", name).replace("$0", operands[0])
        name = to.value(text.replace("$1", operands[-1]))
    if is_condition:
        wide = to.value(f"zext i1 {name} to i32")
        to.conditions[wide] = name
        name = wide
    to.push(name, ir_type)


_FLOATS: Final = {"float": "f32", "double": "f64"}
# Where LLVM may give an operand as it is (x * 1, x - 0, the demotion of a promotion), and with it a signalling NaN, which the
# instruction makes quiet; with the type of the operands.
_ARITHMETIC: Final = {BY_NAME["f32.demote_f64"].code: "double"} | {
    BY_NAME[f"{kind}.{name}"].code: ir_type
    for ir_type, kind in _FLOATS.items()
    for name in ("add", "sub", "mul", "div")
}
# Bits of 0, -0, 1 and -1: beside these an operation gives its other operand, or the negation of it.
_NEUTRAL: Final = {
    "bitcast (i32 0 to float)",
    "bitcast (i32 2147483648 to float)",
    "bitcast (i32 1065353216 to float)",
    "bitcast (i32 3212836864 to float)",
    "bitcast (i64 0 to double)",
    "bitcast (i64 9223372036854775808 to double)",
    "bitcast (i64 4607182418800017408 to double)",
    "bitcast (i64 13830554455654793216 to double)",
}


def _fenced(to: FunctionBuilder, ir_type: str, operands: list[str]) -> list[str]:
    """The operands, so that LLVM does not know which is neutral: of a fence no instruction remains.

    What is no constant here may be one for LLVM, a local for example.  Beside a constant that is not neutral every operation
    stays, and it folds with another one to a quiet NaN.
    """
    constants = [operand for operand in operands if operand.startswith("bitcast ")]
    if any(constant not in _NEUTRAL for constant in constants):
        return operands
    name = f"llvm.arithmetic.fence.{_FLOATS[ir_type]}"
    to.declarations[name] = f"declare {ir_type} @{name}({ir_type})"
    return [
        to.value(f"call {ir_type} @{name}({ir_type} {operand})")
        if operand in (constants or operands)
        else operand
        for operand in operands
    ]


def _scalars() -> dict[int, tuple[tuple[str, ...], int, str, bool]]:
    found = {}
    for opcode in OPCODES:
        lines = TEMPLATES.get(opcode.code)
        if lines is None:
            continue
        is_condition = lines[-1].startswith(("icmp", "fcmp"))
        results = opcode.results or (ValType.I32,)  # ref.is_null has no fixed signature
        param_count = 1 if opcode.params is None else len(opcode.params)
        found[opcode.code] = (lines, param_count, IR_TYPES[results[0]], is_condition)
    return found


_SCALARS: Final = _scalars()


def _divide(to: FunctionBuilder, code: int, _immediate: Immediate) -> None:
    operation, ir_type = _DIVISIONS[code]
    lowest = -(1 << (int(ir_type[1:]) - 1))
    divisor, dividend = to.pop(), to.pop()
    to.trap_if(to.value(f"icmp eq {ir_type} {divisor}, 0"), DIVIDE_BY_ZERO)
    if operation == "sdiv":
        is_lowest = to.value(f"icmp eq {ir_type} {dividend}, {lowest}")
        is_minus_one = to.value(f"icmp eq {ir_type} {divisor}, -1")
        to.trap_if(to.value(f"and i1 {is_lowest}, {is_minus_one}"), INTEGER_OVERFLOW)
    elif (
        operation == "srem"
    ):  # by -1 the result is 0; the instruction would fault for the lowest number
        is_minus_one = to.value(f"icmp eq {ir_type} {divisor}, -1")
        divisor = to.value(f"select i1 {is_minus_one}, {ir_type} 1, {ir_type} {divisor}")
    to.push(to.value(f"{operation} {ir_type} {dividend}, {divisor}"), ir_type)


_DIVISIONS: Final = {
    BY_NAME[f"i{width}.{name}"].code: (operation, f"i{width}")
    for width in (32, 64)
    for name, operation in (
        *(("div_s", "sdiv"), ("div_u", "udiv")),
        *(("rem_s", "srem"), ("rem_u", "urem")),
    )
}


def _extremum(to: FunctionBuilder, code: int, _immediate: Immediate) -> None:
    intrinsic, ir_type = _EXTREMA[code]
    first, second = _fenced(to, ir_type, to.pop_many(2))
    is_nan = to.value(f"fcmp uno {ir_type} {first}, {second}")
    # The sum makes a signalling NaN quiet, which the intrinsic does not.
    quiet = to.value(f"fadd {ir_type} {first}, {second}")
    to.declarations[intrinsic] = f"declare {ir_type} @{intrinsic}({ir_type}, {ir_type})"
    called = f"@{intrinsic}({ir_type} {first}, {ir_type} {second})"
    number = to.value(f"call nnan {ir_type} {called}")
    chosen = to.value(f"select i1 {is_nan}, {ir_type} {quiet}, {ir_type} {number}")
    to.push(chosen, ir_type)


_EXTREMA: Final = {
    BY_NAME[f"{kind}.{name[:3]}"].code: (f"llvm.{name}.{kind}", ir_type)
    for ir_type, kind in _FLOATS.items()
    for name in ("minimum", "maximum")
}


def _truncate(to: FunctionBuilder, code: int, _immediate: Immediate) -> None:
    source, ir_type, operation, low, high = _TRUNCATION_ROWS[code]
    operand = to.pop()
    to.trap_if(to.value(f"fcmp uno {source} {operand}, {operand}"), INVALID_CONVERSION)
    is_low = to.value(f"fcmp ole {source} {operand}, {low:.1f}")
    is_high = to.value(f"fcmp oge {source} {operand}, {high:.1f}")
    to.trap_if(to.value(f"or i1 {is_low}, {is_high}"), INTEGER_OVERFLOW)
    to.push(to.value(f"{operation} {source} {operand} to {ir_type}"), ir_type)


# Truncations that trap: source type, target type, whether signed, and the open interval of values that fit.
_TRUNCATIONS: Final = {
    "i32.trunc_f32_s": ("float", "i32", "fptosi", -2147483904.0, 2147483648.0),
    "i32.trunc_f32_u": ("float", "i32", "fptoui", -1.0, 4294967296.0),
    "i32.trunc_f64_s": ("double", "i32", "fptosi", -2147483649.0, 2147483648.0),
    "i32.trunc_f64_u": ("double", "i32", "fptoui", -1.0, 4294967296.0),
    "i64.trunc_f32_s": ("float", "i64", "fptosi", -9223373136366403584.0, 9223372036854775808.0),
    "i64.trunc_f32_u": ("float", "i64", "fptoui", -1.0, 18446744073709551616.0),
    "i64.trunc_f64_s": ("double", "i64", "fptosi", -9223372036854777856.0, 9223372036854775808.0),
    "i64.trunc_f64_u": ("double", "i64", "fptoui", -1.0, 18446744073709551616.0),
}
_TRUNCATION_ROWS: Final = {BY_NAME[name].code: row for name, row in _TRUNCATIONS.items()}

_NAMED: Final = {
    "unreachable": _unreachable,
    "nop": _nop,
    "block": _block,
    "loop": _loop,
    "if": _if,
    "else": _else,
    "end": _end,
    "br": _br,
    "br_if": _br_if,
    "br_table": _br_table,
    "return": _return,
    "call": _call,
    "call_indirect": _call_indirect,
    "drop": _drop,
    "select": _select,
    "select t": _select,
    "local.get": _local_get,
    "local.set": _local_set,
    "local.tee": _local_tee,
    "global.get": _global_get,
    "global.set": _global_set,
    "memory.size": _memory_size,
    "memory.grow": _memory_grow,
    "memory.fill": _memory_fill,
    "memory.copy": _memory_copy,
    "memory.init": _memory_init,
    "data.drop": _data_drop,
    "elem.drop": _elem_drop,
    "table.init": _table_init,
    "table.copy": _table_copy,
    "table.fill": _table_fill,
    "table.grow": _table_grow,
    "table.size": _table_size,
    "table.get": _table_get,
    "table.set": _table_set,
    "ref.null": _ref_null,
    "ref.func": _ref_func,
}


def _handlers() -> dict[int, Callable[[FunctionBuilder, int, Immediate], bool | None]]:
    found: dict[int, Callable[[FunctionBuilder, int, Immediate], bool | None]] = {}
    found |= {BY_NAME[name].code: handler for name, handler in _NAMED.items()}
    found |= dict.fromkeys(_CONSTANTS, _constant)
    found |= dict.fromkeys(_SCALARS, _scalar)
    found |= dict.fromkeys(_DIVISIONS, _divide)
    found |= dict.fromkeys(_EXTREMA, _extremum)
    found |= dict.fromkeys(_TRUNCATION_ROWS, _truncate)
    for code in ACCESSES:
        is_store = code >= BY_NAME["i32.store"].code
        found[code] = _store if is_store else _load
    return found


HANDLERS: Final = _handlers()
