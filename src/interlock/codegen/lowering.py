"""Lowering: one function of a validated module → one LLVM module as text, whose function is `SYMBOL`.

One pass over the body.  The operand stack holds names of SSA values; locals are stack slots, which LLVM promotes; the
values of a block's results and of a loop's parameters meet in phi nodes at its label.  Code that cannot be reached is
skipped.  Calling convention, vmctx and traps: docs/internals/abi.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.bytecode import BY_NAME, OPCODES, FuncType, ValType
from interlock.codegen.protocol import SYMBOL
from interlock.codegen.scalar_rows import ACCESSES, DECLARATIONS, IR_TYPES, TEMPLATES
from interlock.errors import InternalError, LimitExceededError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.bytecode import Immediate, ValidatedModule
    from interlock.codegen.instance_layout import InstanceLayout

# il_trap_kind (core/include/interlock/traps.def)
UNREACHABLE: Final = 1
DIVIDE_BY_ZERO: Final = 2
INTEGER_OVERFLOW: Final = 3
INVALID_CONVERSION: Final = 4
TABLE_OUT_OF_BOUNDS: Final = 6
UNDEFINED_ELEMENT: Final = 7
UNINITIALIZED_ELEMENT: Final = 8
TYPE_MISMATCH: Final = 9
STACK_EXHAUSTED: Final = 10

# Linear memory and what vmctx leads to never overlap: `!3` and `!4` tell LLVM.
_METADATA: Final = """\
attributes #0 = { nounwind "disable-tail-calls"="true" }
attributes #1 = { cold noreturn nounwind }
!0 = !{!"interlock"}
!1 = !{!"memory", !0, i64 0}
!2 = !{!"context", !0, i64 0}
!3 = !{!1, !1, i64 0}
!4 = !{!2, !2, i64 0}
!5 = !{!"rsp"}
!6 = !{}
declare void @llvm.ubsantrap(i8) #1
"""
_IN_MEMORY: Final = ", !tbaa !3"
_IN_CONTEXT: Final = ", !tbaa !4"
_CONSTANT: Final = ", !invariant.load !6"

_GATES: Final = {
    "memory_grow": ("i64", ("ptr", "i64")),
    "memory_fill": ("void", ("ptr", "i64", "i32", "i64")),
    "memory_copy": ("void", ("ptr", "ptr", "i64", "i64", "i64")),
    "memory_init": ("void", ("ptr", "ptr", "i64", "i64", "i64")),
    "data_drop": ("void", ("ptr",)),
    "elem_drop": ("void", ("ptr",)),
    "table_init": ("void", ("ptr", "ptr", "i64", "i64", "i64")),
    "table_copy": ("void", ("ptr", "ptr", "i64", "i64", "i64")),
    "table_fill": ("void", ("ptr", "i64", "i64", "i64")),
    "table_grow": ("i64", ("ptr", "i64", "i64")),
}

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

_CONTROL: Final = {BY_NAME[name].code: name for name in ("block", "loop", "if", "else", "end")}


def lower(module: ValidatedModule, layout: InstanceLayout, func_index: int) -> str:
    """The LLVM IR of a defined function.

    Raises `UnsupportedError` for an instruction that validation accepts and no row lowers: there is none in this version.
    """
    return _FunctionLowering(module, layout, func_index).lower()


class _Frame:
    """A block, loop, if or the function's body while it is open."""

    __slots__ = (
        "edges", "else_label", "else_operands", "height", "is_loop", "label", "operand_types",
        "param_phis", "result_types",
    )  # fmt: skip

    def __init__(self, label: str, types: FuncType, height: int, *, is_loop: bool) -> None:
        self.label = label
        self.is_loop = is_loop
        self.operand_types = tuple(IR_TYPES[kind] for kind in types.params)
        self.result_types = tuple(IR_TYPES[kind] for kind in types.results)
        self.height = height
        # What branches bring: (label of the block they leave, values).
        self.edges: list[tuple[str, list[str]]] = []
        self.else_label: str | None = None
        self.else_operands: list[str] = []
        # Loops: where in the output its phi nodes stand, and their names.
        self.param_phis: list[tuple[int, str]] = []

    @property
    def branch_types(self) -> tuple[str, ...]:
        return self.operand_types if self.is_loop else self.result_types


class _FunctionLowering:
    def __init__(self, module: ValidatedModule, layout: InstanceLayout, func_index: int) -> None:
        self.module = module
        self.layout = layout
        self.func_index = func_index
        self.type = module.func_type(func_index)
        self.out: list[str] = []
        self.stack: list[str] = []
        self.types: list[str] = []
        self.frames: list[_Frame] = []
        self.block = "entry"  # label of the block that is being written
        self.names = 0
        self.declarations: dict[str, str] = {}
        self.traps: dict[int, str] = {}
        self.conditions: dict[str, str] = {}  # an i32 that widens an i1, to that i1
        self.prologue: dict[str, str] = {}  # name to the lines that make it, at function entry
        self.local_ir_types = [IR_TYPES[kind] for kind in module.local_types(func_index)]
        self.slots = 0  # results of calls with several of them
        self.has_calls = False
        self.edge_values = 0

    # -- the function ----------------------------------------------------------------------------------------------------

    def lower(self) -> str:
        body = self.module.function(self.func_index).body
        self.frames.append(_Frame("end", FuncType((), self.type.results), 0, is_loop=False))
        unreached = 0  # depth of blocks opened in code that cannot be reached
        is_reached = True
        for code, immediate in zip(body.codes, body.immediates, strict=True):
            control = _CONTROL.get(code)
            if is_reached:
                if len(self.out) > limits.LOWERED_LINES_MAX:
                    raise LimitExceededError(
                        limit="LOWERED_LINES_MAX",
                        value=len(self.out),
                        maximum=limits.LOWERED_LINES_MAX,
                    )
                handler = _HANDLERS.get(code)
                if handler is None:
                    raise UnsupportedError(f"lowering of opcode {code:#x}")
                is_reached = handler(self, code, immediate) is not False
            elif control in {"block", "loop", "if"}:
                unreached += 1
            elif unreached and control == "end":
                unreached -= 1
            elif not unreached and control == "else":
                is_reached = self.begin_else()
            elif not unreached and control == "end":
                is_reached = self.end(is_reached=False)
        if self.frames:
            raise InternalError(stage="lowering", detail="blocks are left open")
        return self._assemble()

    def _assemble(self) -> str:
        results = self.type.results
        params = ["ptr %vmctx"]
        if len(results) > 1:
            params.append("ptr %results")
        params += [f"{IR_TYPES[kind]} %p{i}" for i, kind in enumerate(self.type.params)]
        result = IR_TYPES[results[0]] if len(results) == 1 else "void"
        head = [
            f"define {result} @{SYMBOL}({', '.join(params)}) #0 {{",
            "entry:",
            *self._locals(),
        ]
        if self.slots:
            head.append(f"  %slots = alloca [{self.slots} x i64]")
        if self.has_calls:
            trap = self.trap_label(STACK_EXHAUSTED)
            self.declarations["llvm.read_register.i64"] = (
                "declare i64 @llvm.read_register.i64(metadata)"
            )
            head += [
                "  %rsp = call i64 @llvm.read_register.i64(metadata !5)",
                f"  %exec = load ptr, ptr %vmctx{_CONSTANT}",
                f"  %limit = load i64, ptr %exec{_IN_CONTEXT}",
                "  %is_deep = icmp ult i64 %rsp, %limit",
                f"  br i1 %is_deep, label %{trap}, label %start",
                "start:",
            ]
        head += self.prologue.values()
        first = "start" if self.has_calls else "entry"
        # The body was written before it was known what the entry block is called.
        body = (line.replace("%entry ]", f"%{first} ]") for line in self.out)
        tail = [
            f"{label}:\n  call void @llvm.ubsantrap(i8 {kind})\n  unreachable"
            for kind, label in self.traps.items()
        ]
        return "\n".join([*head, *body, *tail, "}", *self.declarations.values(), _METADATA])

    def _locals(self) -> list[str]:
        lines = []
        for index, name in enumerate(self.local_ir_types):
            initial = f"%p{index}" if index < len(self.type.params) else _zero(name)
            lines.append(f"  %l{index} = alloca {name}")
            lines.append(f"  store {name} {initial}, ptr %l{index}")
        return lines

    # -- writing ---------------------------------------------------------------------------------------------------------

    def value(self, text: str) -> str:
        """Write an instruction that has a value; its name."""
        self.names += 1
        name = f"%v{self.names}"
        self.out.append(f"  {name} = {text}")
        return name

    def line(self, text: str) -> None:
        """Write an instruction without a value."""
        self.out.append(f"  {text}")

    def push(self, name: str, ir_type: str) -> None:
        self.stack.append(name)
        self.types.append(ir_type)

    def pop(self) -> str:
        self.types.pop()
        return self.stack.pop()

    def pop_many(self, count: int) -> list[str]:
        """The topmost operands, the deepest first."""
        if count == 0:
            return []
        found = self.stack[-count:]
        del self.stack[-count:], self.types[-count:]
        return found

    def label(self) -> str:
        self.names += 1
        return f"b{self.names}"

    def begin_block(self, label: str) -> None:
        self.out.append(f"{label}:")
        self.block = label

    def trap_label(self, kind: int) -> str:
        """The block that traps so; all places of a function share it."""
        return self.traps.setdefault(kind, f"trap{kind}")

    def trap_if(self, condition: str, kind: int) -> None:
        """Trap when an i1 is true."""
        after = self.label()
        self.line(f"br i1 {condition}, label %{self.trap_label(kind)}, label %{after}")
        self.begin_block(after)

    def condition(self, operand: str) -> str:
        """An i32 operand as i1."""
        return self.conditions.get(operand) or self.value(f"icmp ne i32 {operand}, 0")

    # -- vmctx -----------------------------------------------------------------------------------------------------------

    def at_entry(self, name: str, *lines: str) -> str:
        """A value that is made once, at function entry."""
        self.prologue.setdefault(name, "\n".join(f"  {line}" for line in lines))
        return name

    def place(self, kind: str, index: int, offset: int, *, is_imported: bool) -> str:
        """The address of an item of an index space: one load when it is imported."""
        name = f"%{kind}{index}"
        if not is_imported:
            return self.at_entry(name, f"{name} = getelementptr i8, ptr %vmctx, i64 {offset}")
        return self.at_entry(
            name,
            f"{name}.slot = getelementptr i8, ptr %vmctx, i64 {offset}",
            f"{name} = load ptr, ptr {name}.slot{_CONSTANT}",
        )

    def memory(self, index: int) -> str:
        is_imported = index < self.module.imported_memory_count
        return self.place("memory", index, self.layout.memory(index), is_imported=is_imported)

    def table(self, index: int) -> str:
        is_imported = index < self.module.imported_table_count
        return self.place("table", index, self.layout.table(index), is_imported=is_imported)

    def global_(self, index: int) -> str:
        is_imported = index < self.module.imported_global_count
        return self.place("global", index, self.layout.global_(index), is_imported=is_imported)

    def function(self, index: int) -> str:
        is_imported = index < self.module.imported_function_count
        return self.place("function", index, self.layout.function(index), is_imported=is_imported)

    def memory_base(self, index: int) -> str:
        memory = self.memory(index)
        return self.at_entry(f"%base{index}", f"%base{index} = load ptr, ptr {memory}{_CONSTANT}")

    def word(self, struct: str, offset: int, ir_type: str = "i64") -> str:
        """A field of a struct that vmctx leads to."""
        address = self.value(f"getelementptr i8, ptr {struct}, i64 {offset}") if offset else struct
        return self.value(f"load {ir_type}, ptr {address}{_IN_CONTEXT}")

    def in_vmctx(self, offset: int) -> str:
        return self.value(f"getelementptr i8, ptr %vmctx, i64 {offset}")

    # -- control -----------------------------------------------------------------------------------------------------------

    def open_frame(self, types: FuncType, *, is_loop: bool) -> _Frame:
        frame = _Frame(self.label(), types, len(self.stack) - len(types.params), is_loop=is_loop)
        self.frames.append(frame)
        return frame

    def branch(self, depth: int) -> str:
        """Note that control leaves the present block for a label, with the topmost operands; the label."""
        frame = self.frames[-1 - depth]
        count = len(frame.branch_types)
        self.edge_values += 1 + count
        if self.edge_values > limits.LOWERED_EDGE_VALUES_MAX:
            raise LimitExceededError(
                limit="LOWERED_EDGE_VALUES_MAX",
                value=self.edge_values,
                maximum=limits.LOWERED_EDGE_VALUES_MAX,
            )
        frame.edges.append((self.block, self.stack[len(self.stack) - count :]))
        return frame.label

    def _phi(self, ir_type: str, edges: list[tuple[str, list[str]]], index: int) -> str:
        meeting = ", ".join(f"[ {values[index]}, %{label} ]" for label, values in edges)
        return f"phi {ir_type} {meeting}"

    def begin_else(self) -> bool:
        frame = self.frames[-1]
        if frame.else_label is None:
            raise InternalError(stage="lowering", detail="else without if")
        label, frame.else_label = frame.else_label, None
        self._truncate(frame.height)
        self.begin_block(label)
        for operand, ir_type in zip(frame.else_operands, frame.operand_types, strict=True):
            self.push(operand, ir_type)
        return True

    def _truncate(self, height: int) -> None:
        del self.stack[height:], self.types[height:]

    def end(self, *, is_reached: bool) -> bool:
        """Close the innermost frame; whether the code behind it can be reached."""
        frame = self.frames[-1]
        results = frame.result_types
        if frame.is_loop:
            # Its end is reached by falling through only.
            self._fill_loop(frame)
            self.frames.pop()
            return is_reached
        if is_reached:
            self.line(f"br label %{frame.label}")
            frame.edges.append((self.block, self.stack[len(self.stack) - len(results) :]))
        if frame.else_label is not None:  # no else: the parameters are the results
            self.begin_block(frame.else_label)
            self.line(f"br label %{frame.label}")
            frame.edges.append((self.block, frame.else_operands))
        self._truncate(frame.height)
        self.frames.pop()
        if not frame.edges:
            return False
        self.begin_block(frame.label)
        for index, ir_type in enumerate(results):
            self.push(self.value(self._phi(ir_type, frame.edges, index)), ir_type)
        if not self.frames:
            self._return()
        return True

    def _fill_loop(self, frame: _Frame) -> None:
        for index, (at, name) in enumerate(frame.param_phis):
            phi = self._phi(frame.operand_types[index], frame.edges, index)
            self.out[at] = f"  {name} = {phi}"

    def _return(self) -> None:
        results = self.type.results
        values = self.pop_many(len(results))
        if len(results) <= 1:
            self.line(f"ret {IR_TYPES[results[0]]} {values[0]}" if results else "ret void")
            return
        for index, (kind, value) in enumerate(zip(results, values, strict=True)):
            address = self.value(f"getelementptr i8, ptr %results, i64 {8 * index}")
            self.line(f"store {IR_TYPES[kind]} {value}, ptr {address}")
        self.line("ret void")

    # -- calls -------------------------------------------------------------------------------------------------------------

    def call(self, target: FuncType, code: str, vmctx: str) -> None:
        """Call code with the topmost operands and push its results."""
        self.has_calls = True
        results = target.results
        operands = self.pop_many(len(target.params))
        arguments = [f"ptr {vmctx}"]
        if len(results) > 1:
            self.slots = max(self.slots, len(results))
            arguments.append("ptr %slots")
        arguments += [
            f"{IR_TYPES[kind]} {operand}"
            for kind, operand in zip(target.params, operands, strict=True)
        ]
        called = f"{code}({', '.join(arguments)}) #0"
        if len(results) == 1:
            name = IR_TYPES[results[0]]
            self.push(self.value(f"call {name} {called}"), name)
            return
        self.line(f"call void {called}")
        for index, kind in enumerate(results):
            address = self.value(f"getelementptr i8, ptr %slots, i64 {8 * index}")
            name = IR_TYPES[kind]
            self.push(self.value(f"load {name}, ptr {address}"), name)

    def gate(self, name: str, *arguments: str) -> str:
        """Call a function of the core with vmctx and these arguments; its value, if it has one."""
        result, types = _GATES[name]
        self.has_calls = True
        self.declarations[name] = f"declare {result} @{name}(ptr, {', '.join(types)})"
        listed = ", ".join(f"{kind} {each}" for kind, each in zip(types, arguments, strict=True))
        called = f"call {result} @{name}(ptr %vmctx, {listed}) #0"
        if result != "void":
            return self.value(called)
        self.line(called)
        return ""

    def widen(self, operand: str) -> str:
        return self.value(f"zext i32 {operand} to i64")

    def table_place(self, table: str, index: str) -> str:
        """The address of a table's element, after the bounds check."""
        wide = self.widen(index)
        length = self.word(table, 8)
        self.trap_if(self.value(f"icmp uge i64 {wide}, {length}"), TABLE_OUT_OF_BOUNDS)
        elements = self.word(table, 0, "ptr")
        return self.value(f"getelementptr i64, ptr {elements}, i64 {wide}")


def _zero(ir_type: str) -> str:
    return "0" if ir_type[0] == "i" else "0.0"


# ---- One function an instruction: (lowering, opcode code, immediate) → False when the code behind it cannot be reached --------


def _nop(_lowering: _FunctionLowering, _code: int, _immediate: Immediate) -> None:
    return


def _unreachable(to: _FunctionLowering, _code: int, _immediate: Immediate) -> bool:
    to.line(f"br label %{to.trap_label(UNREACHABLE)}")
    return False


def _block(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    to.open_frame(to.module.block_type(immediate), is_loop=False)


def _loop(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    frame = to.open_frame(to.module.block_type(immediate), is_loop=True)
    to.line(f"br label %{frame.label}")
    operands = to.pop_many(len(frame.operand_types))
    frame.edges.append((to.block, operands))
    to.begin_block(frame.label)
    for ir_type in frame.operand_types:
        frame.param_phis.append((len(to.out), to.value("")))
        to.push(frame.param_phis[-1][1], ir_type)


def _if(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    condition = to.condition(to.pop())
    frame = to.open_frame(to.module.block_type(immediate), is_loop=False)
    frame.else_operands = to.stack[frame.height :]
    then, frame.else_label = to.label(), to.label()
    to.line(f"br i1 {condition}, label %{then}, label %{frame.else_label}")
    to.begin_block(then)


def _else(to: _FunctionLowering, _code: int, _immediate: Immediate) -> bool:
    to.line(f"br label %{to.branch(0)}")
    return to.begin_else()


def _end(to: _FunctionLowering, _code: int, _immediate: Immediate) -> bool:
    return to.end(is_reached=True)


def _br(to: _FunctionLowering, _code: int, immediate: Immediate) -> bool:
    to.line(f"br label %{to.branch(immediate)}")
    return False


def _br_if(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    condition = to.condition(to.pop())
    target, after = to.branch(immediate), to.label()
    to.line(f"br i1 {condition}, label %{target}, label %{after}")
    to.begin_block(after)


def _br_table(to: _FunctionLowering, _code: int, immediate: Immediate) -> bool:
    index = to.pop()
    *depths, default = immediate
    cases = " ".join(f"i32 {at}, label %{to.branch(depth)}" for at, depth in enumerate(depths))
    to.line(f"switch i32 {index}, label %{to.branch(default)} [ {cases} ]")
    return False


def _return(to: _FunctionLowering, _code: int, _immediate: Immediate) -> bool:
    to.line(f"br label %{to.branch(len(to.frames) - 1)}")
    return False


def _call(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    target = to.module.func_type(immediate)
    if immediate == to.func_index:
        to.call(target, f"@{SYMBOL}", "%vmctx")
        return
    funcref = to.function(immediate)
    code = to.word(funcref, 0, "ptr")
    is_imported = immediate < to.module.imported_function_count
    to.call(target, code, to.word(funcref, 8, "ptr") if is_imported else "%vmctx")


def _call_indirect(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
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
        f"%type{type_index} = load i64, ptr %type{type_index}.slot{_CONSTANT}",
    )
    found = to.word(funcref, 16)
    to.trap_if(to.value(f"icmp ne i64 {found}, {expected}"), TYPE_MISMATCH)
    code = to.word(funcref, 0, "ptr")
    to.call(to.module.module.types[type_index], code, to.word(funcref, 8, "ptr"))


def _drop(to: _FunctionLowering, _code: int, _immediate: Immediate) -> None:
    to.pop()


def _select(to: _FunctionLowering, _code: int, _immediate: Immediate) -> None:
    condition = to.condition(to.pop())
    ir_type = to.types[-1]
    second, first = to.pop(), to.pop()
    chosen = to.value(f"select i1 {condition}, {ir_type} {first}, {ir_type} {second}")
    to.push(chosen, ir_type)


def _local_get(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    ir_type = to.local_ir_types[immediate]
    to.push(to.value(f"load {ir_type}, ptr %l{immediate}"), ir_type)


def _local_set(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    ir_type = to.local_ir_types[immediate]
    to.line(f"store {ir_type} {to.pop()}, ptr %l{immediate}")


def _local_tee(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    ir_type = to.local_ir_types[immediate]
    to.line(f"store {ir_type} {to.stack[-1]}, ptr %l{immediate}")


def _global_get(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    ir_type = IR_TYPES[to.module.global_types[immediate].value_type]
    to.push(to.value(f"load {ir_type}, ptr {to.global_(immediate)}{_IN_CONTEXT}"), ir_type)


def _global_set(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    ir_type = IR_TYPES[to.module.global_types[immediate].value_type]
    # Volatile: whoever looks after a trap sees it, also when LLVM knows that the trap comes.
    to.line(f"store volatile {ir_type} {to.pop()}, ptr {to.global_(immediate)}{_IN_CONTEXT}")


def _constant(to: _FunctionLowering, code: int, immediate: Immediate) -> None:
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


def _address(to: _FunctionLowering, operand: str, immediate: Immediate) -> str:
    """The address of an access: past the end of the memory lies nothing but its own reservation, so no check."""
    wide = to.widen(operand)
    if immediate.offset:
        wide = to.value(f"add nuw nsw i64 {wide}, {immediate.offset}")
    return to.value(f"getelementptr i8, ptr {to.memory_base(immediate.memory_index)}, i64 {wide}")


def _load(to: _FunctionLowering, code: int, immediate: Immediate) -> None:
    memory_type, extend, ir_type = ACCESSES[code]
    address = _address(to, to.pop(), immediate)
    # Volatile: LLVM neither drops nor moves an access that may trap (docs/decisions/0002).
    loaded = to.value(f"load volatile {memory_type}, ptr {address}, align 1{_IN_MEMORY}")
    if memory_type != ir_type:
        loaded = to.value(f"{extend} {memory_type} {loaded} to {ir_type}")
    to.push(loaded, ir_type)


def _store(to: _FunctionLowering, code: int, immediate: Immediate) -> None:
    memory_type, _, ir_type = ACCESSES[code]
    stored = to.pop()
    address = _address(to, to.pop(), immediate)
    if memory_type != ir_type:
        stored = to.value(f"trunc {ir_type} {stored} to {memory_type}")
    to.line(f"store volatile {memory_type} {stored}, ptr {address}, align 1{_IN_MEMORY}")


def _memory_size(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    pages = to.value(f"lshr i64 {to.word(to.memory(immediate), 8)}, 16")
    to.push(to.value(f"trunc i64 {pages} to i32"), "i32")


def _memory_grow(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    pages = to.gate("memory_grow", to.memory(immediate), to.widen(to.pop()))
    to.push(to.value(f"trunc i64 {pages} to i32"), "i32")


def _memory_fill(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    start, value, count = to.pop_many(3)
    to.gate("memory_fill", to.memory(immediate), to.widen(start), value, to.widen(count))


def _memory_copy(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    to.gate("memory_copy", to.memory(immediate[0]), to.memory(immediate[1]), *operands)


def _memory_init(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    segment = to.in_vmctx(to.layout.data_segment(immediate[0]))
    to.gate("memory_init", to.memory(immediate[1]), segment, *operands)


def _data_drop(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    to.gate("data_drop", to.in_vmctx(to.layout.data_segment(immediate)))


def _elem_drop(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    to.gate("elem_drop", to.in_vmctx(to.layout.elem_segment(immediate)))


def _table_init(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    segment = to.in_vmctx(to.layout.elem_segment(immediate[0]))
    to.gate("table_init", to.table(immediate[1]), segment, *operands)


def _table_copy(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    operands = [to.widen(operand) for operand in to.pop_many(3)]
    to.gate("table_copy", to.table(immediate[0]), to.table(immediate[1]), *operands)


def _table_fill(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    start, value, count = to.pop_many(3)
    to.gate("table_fill", to.table(immediate), to.widen(start), value, to.widen(count))


def _table_grow(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    value, delta = to.pop_many(2)
    grown = to.gate("table_grow", to.table(immediate), value, to.widen(delta))
    to.push(to.value(f"trunc i64 {grown} to i32"), "i32")


def _table_size(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    to.push(to.value(f"trunc i64 {to.word(to.table(immediate), 8)} to i32"), "i32")


def _table_get(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    place = to.table_place(to.table(immediate), to.pop())
    to.push(to.value(f"load i64, ptr {place}{_IN_CONTEXT}"), "i64")


def _table_set(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    value, index = to.pop(), to.pop()
    place = to.table_place(to.table(immediate), index)
    to.line(f"store volatile i64 {value}, ptr {place}{_IN_CONTEXT}")


def _ref_null(to: _FunctionLowering, _code: int, _immediate: Immediate) -> None:
    to.push("0", "i64")


def _ref_func(to: _FunctionLowering, _code: int, immediate: Immediate) -> None:
    to.push(to.value(f"ptrtoint ptr {to.function(immediate)} to i64"), "i64")


def _scalar(to: _FunctionLowering, code: int, _immediate: Immediate) -> None:
    lines, param_count, ir_type, is_condition = _SCALARS[code]
    operands = to.pop_many(param_count)
    declaration = DECLARATIONS.get(code)
    if declaration is not None:
        to.declarations[declaration[0]] = declaration[1]
    if ir_type in _FENCES or code == _DEMOTE:
        operands = [_fenced(to, code, operand) for operand in operands]
    name = ""
    for line in lines:
        text = line.replace("%t", name).replace("$0", operands[0])
        name = to.value(text.replace("$1", operands[-1]))
    if is_condition:
        wide = to.value(f"zext i1 {name} to i32")
        to.conditions[wide] = name
        name = wide
    to.push(name, ir_type)


_FENCES: Final = {"float": "f32", "double": "f64"}
_DEMOTE: Final = BY_NAME["f32.demote_f64"].code
# Bits of 0, -0, 1 and -1: LLVM drops an operation with these, and with it that a signalling NaN becomes a quiet one.
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


def _fenced(to: _FunctionLowering, code: int, operand: str) -> str:
    """The operand, so that LLVM does not know what it is where it would drop the operation: no instruction remains."""
    if operand not in _NEUTRAL and code != _DEMOTE:
        return operand
    ir_type = "double" if code == _DEMOTE or operand.endswith("double)") else "float"
    name = f"llvm.arithmetic.fence.{_FENCES[ir_type]}"
    to.declarations[name] = f"declare {ir_type} @{name}({ir_type})"
    return to.value(f"call {ir_type} @{name}({ir_type} {operand})")


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


def _divide(to: _FunctionLowering, code: int, _immediate: Immediate) -> None:
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


def _extremum(to: _FunctionLowering, code: int, _immediate: Immediate) -> None:
    intrinsic, ir_type = _EXTREMA[code]
    first, second = (_fenced(to, code, operand) for operand in to.pop_many(2))
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
    for ir_type, kind in _FENCES.items()
    for name in ("minimum", "maximum")
}


def _truncate(to: _FunctionLowering, code: int, _immediate: Immediate) -> None:
    source, ir_type, operation, low, high = _TRUNCATION_ROWS[code]
    operand = to.pop()
    to.trap_if(to.value(f"fcmp uno {source} {operand}, {operand}"), INVALID_CONVERSION)
    is_low = to.value(f"fcmp ole {source} {operand}, {low:.1f}")
    is_high = to.value(f"fcmp oge {source} {operand}, {high:.1f}")
    to.trap_if(to.value(f"or i1 {is_low}, {is_high}"), INTEGER_OVERFLOW)
    to.push(to.value(f"{operation} {source} {operand} to {ir_type}"), ir_type)


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


def _handlers() -> dict[int, Callable[[_FunctionLowering, int, Immediate], bool | None]]:
    found: dict[int, Callable[[_FunctionLowering, int, Immediate], bool | None]] = {}
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


_HANDLERS: Final = _handlers()
