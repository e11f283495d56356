"""Lower: a typed program as a bytecode module.

Every function is exported under its name if the program says so, and each place that can raise has a number: code that
fails stores it in a global, exported as `FAILURE_EXPORT`, and traps.  `Lowered.failures` says what each number means.
"""

from __future__ import annotations

import enum
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.bytecode import (
    Const,
    CustomSection,
    Elem,
    Export,
    ExternKind,
    Function,
    FuncType,
    Global,
    GlobalType,
    Import,
    Limits,
    MemArg,
    MemoryType,
    Module,
    RefFunc,
    SegmentMode,
    TableType,
    ValType,
)
from interlock.errors import InternalError
from interlock.typed_python import tree
from interlock.typed_python.body_builder import FAILURE_GLOBAL, BodyBuilder
from interlock.typed_python.layout import ArrayType, Type
from interlock.typed_python.lower_operations import OPERATIONS, compare
from interlock.typed_python.operands import OVERFLOW, Operands, constant
from interlock.typed_python.scalars import BOOL, Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.typed_python.tree import Place

FAILURE_EXPORT: Final = "interlock.failure"
MEMORY_IMPORT: Final = ("interlock", "memory")
_PAGES_MIN: Final = 1


class MemoryUse(enum.Enum):
    """Where the memory comes from that arrays lie in."""

    IMPORTED = "imported"  # of other instances too
    EXPORTED = "exported"  # its own, as `memory`


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A place that can raise, and what."""

    exception: str  # a built-in exception's name
    message: str
    file: str
    place: Place
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A module and what its numbers of failures mean; number 0 is none."""

    module: Module
    failures: tuple[Failure, ...]  # number n at n - 1
    exports: Mapping[tree.Signature, str]


def lower(program: tree.Program, memory: MemoryUse = MemoryUse.IMPORTED) -> Lowered:
    """Make a module; inlined functions are compiled into their callers, and by themselves only if exported.

    A program without arrays has no memory.
    """
    return _ModuleLowering(program).run(memory)


class _ModuleLowering:
    """One module while it is made."""

    def __init__(self, program: tree.Program) -> None:
        self.program = program
        self.bodies = {each.signature: each for each in program.functions}
        kept = [
            each.signature
            for each in program.functions
            if not each.signature.definition.is_inlined
            or each.signature in (*program.exported, *program.referenced)
        ]
        self.indices = {signature: index for index, signature in enumerate(kept)}
        self.types: dict[FuncType, int] = {}
        self.failures: dict[Failure, int] = {}
        self.uses_table = bool(program.referenced)
        self.uses_memory = any(
            isinstance(kind, ArrayType) for each in self.indices for kind in each.params
        )

    def type_index(self, func_type: FuncType) -> int:
        """The index of a type in the module."""
        return self.types.setdefault(func_type, len(self.types))

    def run(self, memory: MemoryUse) -> Lowered:
        functions = []
        for signature in self.indices:
            index = self.type_index(func_type(signature))
            functions.append(_FunctionLowering(self, self.bodies[signature]).run(index))
        names = self._export_names()
        exports = [
            Export(name=name, kind=ExternKind.FUNC, index=self.indices[signature])
            for signature, name in names.items()
        ]
        exports.append(Export(name=FAILURE_EXPORT, kind=ExternKind.GLOBAL, index=FAILURE_GLOBAL))
        failure = Global(
            type=GlobalType(value_type=ValType.I32, mutable=True),
            init=Const(type=ValType.I32, bits=0),
        )
        memory_type = MemoryType(limits=Limits(minimum=_PAGES_MIN))
        imports: list[Import] = []
        memories: list[MemoryType] = []
        if self.uses_memory and memory is MemoryUse.IMPORTED:
            owner, name = MEMORY_IMPORT
            imports.append(
                Import(module=owner, name=name, kind=ExternKind.MEMORY, desc=memory_type)
            )
        elif self.uses_memory:
            memories.append(memory_type)
            exports.append(Export(name="memory", kind=ExternKind.MEMORY, index=0))
        tables, elems = self._table()
        module = Module(
            types=tuple(self.types),
            imports=tuple(imports),
            customs=(self._failure_section(),),
            memories=tuple(memories),
            functions=tuple(functions),
            tables=tables,
            elems=elems,
            globals=(failure,),
            exports=tuple(exports),
            function_names={index: signature.name for signature, index in self.indices.items()},
        )
        return Lowered(module=module, failures=tuple(self.failures), exports=names)

    def _table(self) -> tuple[tuple[TableType, ...], tuple[Elem, ...]]:
        """The functions that there are references to; slot 0 stays empty, so that memory full of zeros refers to nothing."""
        referenced = self.program.referenced
        if not self.uses_table:
            return (), ()
        size = len(referenced) + 1
        table = TableType(element=ValType.FUNCREF, limits=Limits(minimum=size, maximum=size))
        elem = Elem(
            type=ValType.FUNCREF,
            items=tuple(RefFunc(index=self.indices[each]) for each in referenced),
            mode=SegmentMode.ACTIVE,
            offset=Const(type=ValType.I32, bits=1),
        )
        return (table,), (elem,) if referenced else ()

    def _failure_section(self) -> CustomSection:
        """What the numbers mean, for those who embed the binary module."""
        listed = [
            {
                "exception": each.exception,
                "message": each.message,
                "file": os.path.basename(each.file),  # noqa: PTH119  (a name; the same wherever it is built)
                "line": each.place.line,
                "function": each.function,
            }
            for each in self.failures
        ]
        data = json.dumps(listed, ensure_ascii=False).encode()
        return CustomSection(name=FAILURE_EXPORT, data=data, after=0)

    def _export_names(self) -> dict[tree.Signature, str]:
        """The functions' own names; of several with one name, the later ones get their parameter types behind it."""
        found: dict[tree.Signature, str] = {}
        for signature in self.program.exported:
            name = signature.name
            if name in found.values():
                name = f"{name}[{', '.join(map(str, signature.params))}]"
            found[signature] = name
        return found


def func_type(signature: tree.Signature) -> FuncType:
    """The byte-code's type of a function."""
    return _func_type(signature.params, signature.result)


def _func_type(params: tuple[Type, ...], result: Scalar | None) -> FuncType:
    words = tuple(each for kind in params for each in value_types(kind))
    return FuncType(words, () if result is None else (result.val_type,))


def value_types(kind: Type) -> tuple[ValType, ...]:
    """What a parameter is in byte-code: of an array, its address and its lengths."""
    if isinstance(kind, ArrayType):
        return ValType.I32, *(ValType.I64,) * kind.dimensions
    return (kind.val_type,)


@dataclass(slots=True, kw_only=True)
class _Frame:
    """A function's body while it is written: its own, or one that is inlined."""

    function: tree.Function
    locals: dict[str, int]
    exit: int  # the label behind the body, which takes the result; 0: the function's own
    loops: list[tuple[int, int]]  # labels for break and continue


class _FunctionLowering:
    """One function, with what is inlined into it."""

    def __init__(self, module: _ModuleLowering, function: tree.Function) -> None:
        self.module = module
        self.to = BodyBuilder(func_type(function.signature).params, self._failure)
        self.frames = [self._frame(function, range(len(self.to.locals)), 0)]

    @staticmethod
    def _frame(function: tree.Function, params: Sequence[int], exit_label: int) -> _Frame:
        names = [name for each in function.params for name in _names(each)]
        return _Frame(
            function=function,
            locals=dict(zip(names, params, strict=True)),
            exit=exit_label,
            loops=[],
        )

    def run(self, type_index: int) -> Function:
        self._body(self.frames[0].function)
        body, runs = self.to.finish()
        return Function(type_index=type_index, local_runs=runs, body=body)

    def _body(self, function: tree.Function) -> None:
        self.block(function.body)
        if function.signature.result is not None:
            # The checker has seen that every way through returns.
            self.to.emit("unreachable")

    def _failure(self, exception: str, message: str, place: Place) -> int:
        definition = self.frames[-1].function.signature.definition
        failure = Failure(
            exception=exception,
            message=message,
            file=definition.file,
            place=place,
            function=definition.name,
        )
        return self.module.failures.setdefault(failure, len(self.module.failures) + 1)

    def local(self, variable: tree.Variable) -> int:
        """The local of a variable."""
        names = self.frames[-1].locals
        if variable.name not in names:
            names[variable.name] = self.to.new_local(variable.type.val_type)
        return names[variable.name]

    # -- expressions -----------------------------------------------------------------------------------------------------

    def expression(self, node: tree.Expr) -> None:
        """Push a value."""
        to = self.to
        match node:
            case tree.Const():
                constant(to, node.type, node.value)
            case tree.Get():
                to.emit("local.get", self.local(node.variable))
            case tree.Tee():
                self.expression(node.value)
                to.emit("local.tee", self.local(node.variable))
            case tree.Operation():
                OPERATIONS[node.name](to, node, Operands(to, node.operands, self.expression))
            case tree.Comparison():
                self.expression(node.left)
                self.expression(node.right)
                assert node.left.type is not None  # noqa: S101  (the checker settles operands)
                to.emit(compare(node.left.type, node.name))
            case tree.Conditional():
                self._conditional(node)
            case tree.Call():
                self._call(node)
            case tree.Load():
                self._address(node.access)
                to.emit(node.element.load, _memory_argument(node))
            case tree.Length():
                to.emit("local.get", self.frames[-1].locals[f"{node.array.name}.{node.dimension}"])
            case tree.Address():
                self._moved(node)
            case tree.Raw():
                self._raw(node)
            case tree.Reference():
                to.emit("i32.const", node.number)
            case tree.CallReference():
                self._call_reference(node)

    def _conditional(self, node: tree.Conditional) -> None:
        if node.type is BOOL and _is(node.then, 0) and _is(node.otherwise, 1):
            self.expression(node.condition)
            self.to.emit("i32.eqz")
            return
        self.expression(node.condition)
        self.to.open("if", node.type.val_type)
        self.expression(node.then)
        self.to.emit("else")
        self.expression(node.otherwise)
        self.to.close()

    def _call(self, node: tree.Call) -> None:
        for argument in node.arguments:
            if isinstance(argument, tree.Array):
                for name in _names(argument):
                    self.to.emit("local.get", self.frames[-1].locals[name])
            else:
                self.expression(argument)
        index = self.module.indices.get(node.callee)
        if not node.callee.definition.is_inlined:
            if index is None:
                raise InternalError(
                    stage="typed Python", detail=f"{node.callee.name} was not checked"
                )
            self.to.emit("call", index)
            return
        self._inline(self.module.bodies[node.callee])

    def _inline(self, function: tree.Function) -> None:
        """Write the callee's body in place of a call; its arguments are on the stack."""
        to = self.to
        params = [to.new_local(each) for each in func_type(function.signature).params]
        for local in reversed(params):
            to.emit("local.set", local)
        result = function.signature.result
        exit_label = to.open("block", None if result is None else result.val_type)
        self.frames.append(self._frame(function, params, exit_label))
        self._body(function)
        self.frames.pop()
        to.close()

    def _moved(self, node: tree.Address) -> None:
        """Push an address that is computed modulo 2**32."""
        to = self.to
        self.expression(node.pointer)
        if node.index is not None:
            self.expression(node.index)
            to.write(f"i32.wrap_i64 i32.const:{node.scale} i32.mul i32.add")
        if node.offset:
            to.write(f"i32.const:{node.offset} i32.add")

    def _raw(self, node: tree.Raw) -> None:
        for operand in node.operands:
            self.expression(operand)
        if node.name == "cast":
            return
        self.module.uses_memory = True
        self.to.emit(node.name, (0, 0) if node.name == "memory.copy" else 0)

    def _call_reference(self, node: tree.CallReference) -> None:
        """The reference is computed before the arguments, and wanted behind them."""
        to = self.to
        held = to.take(ValType.I32)
        self.expression(node.function)
        to.emit("local.set", held)
        for argument in node.arguments:
            self.expression(argument)
        to.emit("local.get", held)
        to.give(held)
        self.module.uses_table = True
        index = self.module.type_index(_func_type(node.kind.params, node.kind.result))
        to.emit("call_indirect", (index, 0))

    def _address(self, access: tree.Access | tree.Deref) -> None:
        """Push the address of an element; `IndexError` if there is none."""
        self.module.uses_memory = True
        if isinstance(access, tree.Deref):
            self.expression(access.pointer)
            return
        to, array = self.to, access.array
        lengths = [
            self.frames[-1].locals[f"{array.name}.{at}"] for at in range(array.type.dimensions)
        ]
        held: list[int] = []
        for index in access.indices:
            local = to.take(ValType.I64)
            self.expression(index)
            to.emit("local.set", local)
            held.append(local)
        for at, (local, length) in enumerate(zip(held, lengths, strict=True)):
            is_outside = f"local.get:{local} local.get:{length} i64.ge_u"
            to.write(is_outside)
            to.open("if")
            to.write(f"local.get:{local} local.get:{length} i64.add local.set:{local} {is_outside}")
            to.fail_if(
                "IndexError", f"index out of range in dimension {at} of {array.name}", access.place
            )
            to.close()
        to.write(f"local.get:{held[0]}")
        for local, length in zip(held[1:], lengths[1:], strict=True):
            to.write(f"local.get:{length} i64.mul local.get:{local} i64.add")
        base = self.frames[-1].locals[array.name]
        to.write(
            f"i32.wrap_i64 i32.const:{array.type.element.size_bytes} i32.mul local.get:{base} i32.add"
        )
        to.give(*held)

    def _store(self, node: tree.Store) -> None:
        to, element = self.to, node.element
        value = to.take(element.scalar.val_type)
        self.expression(node.value)
        to.emit("local.set", value)
        self._address(node.access)
        if element.is_narrow and not isinstance(node.value, tree.Const):
            to.write(f"local.get:{value} i32.const:{element.minimum} i32.sub")
            to.write(f"i32.const:{element.maximum - element.minimum} i32.gt_u")
            to.fail_if(OVERFLOW, f"the value does not fit {element}", node.access.place)
        to.emit("local.get", value)
        to.emit(element.store, _memory_argument(node))
        to.give(value)

    # -- statements ------------------------------------------------------------------------------------------------------

    def block(self, nodes: Sequence[tree.Stmt]) -> None:
        """Statements in order."""
        for node in nodes:
            self.statement(node)

    def statement(self, node: tree.Stmt) -> None:
        """One statement."""
        to = self.to
        match node:
            case tree.Assign():
                self.expression(node.value)
                to.emit("local.set", self.local(node.variable))
            case tree.Store():
                self._store(node)
            case tree.Evaluate():
                self.expression(node.value)
                if node.value.type is not None:
                    to.emit("drop")
            case tree.If():
                self._if(node)
            case tree.While():
                self._while(node)
            case tree.ForRange():
                self._for_range(node)
            case tree.Return():
                self._return(node)
            case tree.Break():
                to.branch(self.frames[-1].loops[-1][0])
            case tree.Continue():
                to.branch(self.frames[-1].loops[-1][1])
            case tree.Raise():
                to.fail(node.exception, node.message, node.place)

    def _if(self, node: tree.If) -> None:
        self.expression(node.condition)
        self.to.open("if")
        self.block(node.then)
        if node.otherwise:
            self.to.emit("else")
            self.block(node.otherwise)
        self.to.close()

    def _return(self, node: tree.Return) -> None:
        if node.value is not None:
            self.expression(node.value)
        exit_label = self.frames[-1].exit
        if exit_label:
            self.to.branch(exit_label)
        else:
            self.to.emit("return")

    def _while(self, node: tree.While) -> None:
        to = self.to
        behind = to.open("block")
        done = to.open("block")
        again = to.open("loop")
        if not _is(node.condition, 1):
            self.expression(node.condition)
            to.emit("i32.eqz")
            to.branch(done, "br_if")
        self._loop_body(node.body, behind, again)
        to.branch(again)
        to.close()
        to.close()
        self.block(node.otherwise)
        to.close()

    def _loop_body(self, body: Sequence[tree.Stmt], behind: int, again: int) -> None:
        loops = self.frames[-1].loops
        loops.append((behind, again))
        self.block(body)
        loops.pop()

    def _for_range(self, node: tree.ForRange) -> None:
        """The variable gets its values from a local of its own, which never passes the end of the range."""
        to, kind = self.to, node.variable.type
        w = kind.val_type
        step = node.step.value if isinstance(node.step, tree.Const) else None
        held = start, stop, steps, remaining = [to.take(w) for _ in range(4)]
        for local, value in ((start, node.start), (stop, node.stop), (steps, node.step)):
            self.expression(value)
            to.emit("local.set", local)
        if step is None:
            to.write(f"local.get:{steps} {w}.eqz")
            to.fail_if("ValueError", "range() arg 3 must not be zero", node.place)
        is_unit = step in {1, -1}
        if not is_unit:
            self._count(kind, step, (start, stop, steps, remaining))
        behind = to.open("block")
        done = to.open("block")
        again = to.open("loop")
        if is_unit:  # the comparison tells LLVM the range of the variable
            to.write(f"local.get:{start} local.get:{stop}")
            to.emit(compare(kind, "ge" if step == 1 else "le"))
        else:
            to.write(f"local.get:{remaining} {w}.eqz")
        to.branch(done, "br_if")
        to.write(f"local.get:{start} local.set:{self.local(node.variable)}")
        to.write(f"local.get:{start} local.get:{steps} {w}.add local.set:{start}")
        if not is_unit:
            to.write(f"local.get:{remaining} {w}.const:1 {w}.sub local.set:{remaining}")
        self._loop_body(node.body, behind, again)
        to.branch(again)
        to.close()
        to.close()
        self.block(node.otherwise)
        to.close()
        to.give(*held)

    def _count(self, kind: Scalar, step: float | None, locals_: tuple[int, int, int, int]) -> None:
        """How many values the range has: (distance - 1) // |step| + 1, where there is a distance in its direction."""
        to, w = self.to, kind.val_type
        start, stop, steps, remaining = locals_
        sign = "s" if kind.is_signed else "u"

        def one_way(low: int, high: int, *, is_negative: bool) -> None:
            to.write(f"local.get:{low} local.get:{high} {w}.lt_{sign}")
            to.open("if", w)
            to.write(f"local.get:{high} local.get:{low} {w}.sub")
            to.write(f"{w}.const:1 {w}.sub")
            to.write(
                f"{w}.const:0 local.get:{steps} {w}.sub" if is_negative else f"local.get:{steps}"
            )
            to.write(f"{w}.div_u {w}.const:1 {w}.add")
            to.write(f"else {w}.const:0")
            to.close()

        if step is not None or not kind.is_signed:
            is_negative = step is not None and step < 0
            one_way(*((stop, start) if is_negative else (start, stop)), is_negative=is_negative)
        else:
            to.write(f"local.get:{steps} {w}.const:0 {w}.gt_s")
            to.open("if", w)
            one_way(start, stop, is_negative=False)
            to.emit("else")
            one_way(stop, start, is_negative=True)
            to.close()
        to.emit("local.set", remaining)


def _names(param: tree.Variable | tree.Array) -> list[str]:
    """The names of the locals of a parameter."""
    if isinstance(param, tree.Array):
        return [param.name, *(f"{param.name}.{at}" for at in range(param.type.dimensions))]
    return [param.name]


def _memory_argument(node: tree.Load | tree.Store) -> MemArg:
    """A pointer may have any address: it is no promise to the processor.  An array's elements were looked for before."""
    is_element = isinstance(node.access, tree.Access)
    align = node.element.size_bytes.bit_length() - 1 if is_element else 0
    return MemArg(align=align, offset=node.access.offset, is_in_bounds=is_element)


def _is(node: tree.Expr, value: int) -> bool:
    return isinstance(node, tree.Const) and node.type is BOOL and node.value == value
