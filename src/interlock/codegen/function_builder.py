"""Writing one function as LLVM IR: blocks and values, the operand stack, vmctx, calls.

The operand stack holds names of SSA values; locals are stack slots, which LLVM promotes; the values of a block's results and
of a loop's parameters meet in phi nodes at its label.  Calling convention, vmctx and traps: docs/internals/abi.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.bytecode import FuncType, MemArg
from interlock.codegen.protocol import SYMBOL
from interlock.codegen.scalar_rows import IR_TYPES
from interlock.errors import InternalError, LimitExceededError
from interlock.target import Arch

if TYPE_CHECKING:
    from interlock.bytecode import ValidatedModule
    from interlock.codegen.instance_layout import InstanceLayout
    from interlock.target import Target

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
attributes #1 = { cold noreturn nounwind }
!0 = !{!"interlock"}
!1 = !{!"memory", !0, i64 0}
!2 = !{!"context", !0, i64 0}
!3 = !{!1, !1, i64 0}
!4 = !{!2, !2, i64 0}
!6 = !{}
declare void @llvm.ubsantrap(i8) #1
"""
# Of the function and of its calls, and the name of the stack pointer.
_OF_ARCH: Final = {
    Arch.X86_64: """\
attributes #0 = { nounwind "disable-tail-calls"="true" }
!5 = !{!"rsp"}
""",
    # Landing pads: LLVM writes bti c at the entry and bti j where jump tables lead.
    Arch.AARCH64: """\
attributes #0 = { nounwind "disable-tail-calls"="true" "branch-target-enforcement"="true" }
!5 = !{!"sp"}
""",
}
IN_MEMORY: Final = ", !tbaa !3"
IN_CONTEXT: Final = ", !tbaa !4"
CONSTANT: Final = ", !invariant.load !6"

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


class Frame:
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
        """What a branch to its label brings."""
        return self.operand_types if self.is_loop else self.result_types


class FunctionBuilder:
    """One function while it is written."""

    def __init__(
        self, module: ValidatedModule, layout: InstanceLayout, func_index: int, target: Target
    ) -> None:
        self.module = module
        self.arch = target.arch
        self.layout = layout
        self.func_index = func_index
        self.type = module.func_type(func_index)
        self.out: list[str] = []
        self.stack: list[str] = []
        self.types: list[str] = []
        self.frames = [Frame("end", FuncType((), self.type.results), 0, is_loop=False)]
        self.block = "entry"  # label of the block that is being written
        self.names = 0
        self.declarations: dict[str, str] = {}
        self.traps: dict[int, str] = {}
        self.conditions: dict[str, str] = {}  # an i32 that widens an i1, to that i1
        self.prologue: dict[str, str] = {}  # name to the lines that make it, at function entry
        accesses = (
            each for each in module.function(func_index).body.immediates if isinstance(each, MemArg)
        )
        # LLVM neither drops nor moves an access that may trap (docs/decisions/0002).  Where one may, all are volatile: it would
        # move the others past it.
        self.volatile = "" if all(each.is_in_bounds for each in accesses) else "volatile "
        self.local_ir_types = [IR_TYPES[kind] for kind in module.local_types(func_index)]
        self.slots = 0  # results of calls with several of them
        self.has_calls = False
        self.edge_values = 0

    # -- the function ----------------------------------------------------------------------------------------------------

    def assemble(self) -> str:
        """The module, when the body has been written."""
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
            self.declarations["llvm.read_register.i64"] = (
                "declare i64 @llvm.read_register.i64(metadata)"
            )
            self.declarations["stack_check"] = "declare preserve_allcc void @stack_check()"
            head += [
                "  %sp = call i64 @llvm.read_register.i64(metadata !5)",
                f"  %exec = load ptr, ptr %vmctx{CONSTANT}",
                f"  %limit = load i64, ptr %exec{IN_CONTEXT}",
                "  %is_deep = icmp ult i64 %sp, %limit",
                "  br i1 %is_deep, label %deep, label %start",
                # It may be another thread's limit: the core knows this one's, and traps or returns.
                "deep:",
                "  call preserve_allcc void @stack_check() cold nounwind",
                "  br label %start",
                "start:",
            ]
        head += self.prologue.values()
        first = "start" if self.has_calls else "entry"
        # The body was written before it was known what the entry block is called.
        body = (line.replace("%entry ]", f"%{first} ]") for line in self.out)
        tail = [
            # The trap itself reads no memory, for LLVM: what was stored before would be dropped.
            f'{label}:\n  call void asm sideeffect "", "~{{memory}}"()\n'
            f"  call void @llvm.ubsantrap(i8 {kind})\n  unreachable"
            for kind, label in self.traps.items()
        ]
        return "\n".join(
            [*head, *body, *tail, "}", *self.declarations.values(), _METADATA, _OF_ARCH[self.arch]]
        )

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
        """Put a value on the operand stack."""
        self.stack.append(name)
        self.types.append(ir_type)

    def pop(self) -> str:
        """Take the topmost value."""
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
        """A new name for a block."""
        self.names += 1
        return f"b{self.names}"

    def begin_block(self, label: str) -> None:
        """What is written from now on belongs to this block."""
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
            f"{name} = load ptr, ptr {name}.slot{CONSTANT}",
        )

    def memory(self, index: int) -> str:
        """The address of an `il_memory`."""
        is_imported = index < self.module.imported_memory_count
        return self.place("memory", index, self.layout.memory(index), is_imported=is_imported)

    def table(self, index: int) -> str:
        """The address of an `il_table`."""
        is_imported = index < self.module.imported_table_count
        return self.place("table", index, self.layout.table(index), is_imported=is_imported)

    def global_(self, index: int) -> str:
        """The address of a global's cell."""
        is_imported = index < self.module.imported_global_count
        return self.place("global", index, self.layout.global_(index), is_imported=is_imported)

    def function(self, index: int) -> str:
        """The address of an `il_funcref`."""
        is_imported = index < self.module.imported_function_count
        return self.place("function", index, self.layout.function(index), is_imported=is_imported)

    def memory_base(self, index: int) -> str:
        """Where a memory starts: it never moves."""
        memory = self.memory(index)
        return self.at_entry(f"%base{index}", f"%base{index} = load ptr, ptr {memory}{CONSTANT}")

    def word(self, struct: str, offset: int, ir_type: str = "i64") -> str:
        """A field of a struct that vmctx leads to."""
        address = self.value(f"getelementptr i8, ptr {struct}, i64 {offset}") if offset else struct
        return self.value(f"load {ir_type}, ptr {address}{IN_CONTEXT}")

    def in_vmctx(self, offset: int) -> str:
        """An address in vmctx."""
        return self.value(f"getelementptr i8, ptr %vmctx, i64 {offset}")

    # -- control -----------------------------------------------------------------------------------------------------------

    def open_frame(self, types: FuncType, *, is_loop: bool) -> Frame:
        """Begin a block, loop or if."""
        frame = Frame(self.label(), types, len(self.stack) - len(types.params), is_loop=is_loop)
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
        """Go on with the other branch of an if, from the operands it began with."""
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

    def _fill_loop(self, frame: Frame) -> None:
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
        """An i32 operand as i64, unsigned."""
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
