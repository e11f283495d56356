"""Check, calls: of compiled functions, of conversions, and of the functions that have a meaning of their own."""

from __future__ import annotations

import ast
from abc import abstractmethod
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Final

from interlock import intrinsics
from interlock.typed_python import mathlib, operations, pointers, syntax, tree
from interlock.typed_python.expressions import as_condition
from interlock.typed_python.layout import (
    ArrayType,
    CallableType,
    PointerType,
    callable_type,
    pointer_to,
)
from interlock.typed_python.places import PlaceChecker, scale_of
from interlock.typed_python.scalars import BOOL, F64, I32, U32, Scalar, widens
from interlock.typed_python.values import (
    MISSING,
    Checked,
    Literal,
    Missing,
    definition_of,
    element_of,
    scalar_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.typed_python.layout import Type
    from interlock.typed_python.source import Definition


class CallChecker(PlaceChecker):
    """Calls in one function; the program that it is part of knows what is called."""

    @abstractmethod
    def callee(
        self,
        node: ast.expr | ast.AugAssign,
        definition: Definition,
        arguments: Sequence[Type | None],
    ) -> tree.Signature | None:
        """The signature of what is called with arguments of these types; None: not known yet, or an error."""

    def call(self, node: ast.Call) -> Checked:
        """Check a call."""
        if self.is_computed(node.func):
            return self._call_reference(node)
        if isinstance(node.func, ast.Subscript):
            callee = self.type_value(node.func)
        else:
            callee = self.resolve(node.func)
        if isinstance(callee, Missing):
            return None
        if not self._is_positional(node):
            return None
        definition = self._definition(callee)
        if definition is not None:
            return self._call_function(node, definition)
        kind = scalar_of(callee)
        if isinstance(kind, PointerType):
            return self._cast(node, kind)
        if kind is not None:
            return self._convert(node, kind)
        if isinstance(callee, FunctionType) and (callee in _OF_ONE or callee in _RAW):
            return self._call_raw(node, callee)
        if callee is len:
            return self._length(node)
        if callee is intrinsics.bitcast:
            return self._bitcast(node)
        builtin = syntax.FUNCTIONS.get(callee) if callable(callee) else None
        if builtin is not None:
            return self._call_builtin(node, builtin)
        name = ast.unparse(node.func)
        self.error(
            node.func,
            f"{name} cannot be called here: it is not compiled",
            _how_to_call(callee, name),
        )
        return None

    @staticmethod
    def _definition(callee: object) -> Definition | None:
        """What is compiled for a call of this."""
        if isinstance(callee, FunctionType | BuiltinFunctionType):
            return mathlib.OF_MATH.get(callee) or mathlib.OF_SOURCE.get(callee)
        return definition_of(callee)

    def float_operator(
        self,
        node: ast.expr | ast.AugAssign,
        name: str,
        operands: tuple[tree.Expr | None, tree.Expr | None],
    ) -> Checked:
        """`%` and `//` of f64: a call of what computes them."""
        first, second = operands
        signature = self.callee(node, mathlib.OF_OPERATOR[name], [F64, F64])
        if signature is None or first is None or second is None:
            return None
        self.callees[node] = signature
        return tree.Call(callee=signature, arguments=(first, second), place=tree.place_of(node))

    def _call_function(self, node: ast.Call, definition: Definition) -> Checked:
        values = [self.array(each) or self.expression(each) for each in node.args]
        types = [
            value.type if isinstance(value, tree.Array) else self.type_of(value) for value in values
        ]
        signature = self.callee(node, definition, types)
        if signature is None:
            return None
        if len(values) != len(signature.params):
            count = _count(len(signature.params), "argument")
            self.error(node, f"{signature.name} takes {count}, not {len(values)}")
            return None
        arguments = [
            self._argument(*each) for each in zip(node.args, values, signature.params, strict=True)
        ]
        if None in arguments:
            return None
        self.callees[node] = signature
        settled = tuple(each for each in arguments if each is not None)
        return tree.Call(callee=signature, arguments=settled, place=tree.place_of(node))

    def _argument(
        self, node: ast.expr, value: tree.Array | Checked, kind: Type
    ) -> tree.Expr | tree.Array | None:
        if isinstance(kind, ArrayType):
            if isinstance(value, tree.Array) and value.type == kind:
                return value
            found = value.type if isinstance(value, tree.Array) else self.type_of(value)
            if found is not None:
                self.error(node, f"this is {found}, where {kind} is wanted")
            return None
        if isinstance(value, tree.Array):
            self.error(node, f"this is {value.type}, where {kind} is wanted")
            return None
        return self.settle(node, value, kind)

    def _length(self, node: ast.Call) -> Checked:
        array = self.array(node.args[0]) if len(node.args) == 1 else None
        if array is None:
            self.error(node, "len is for one array")
            return None
        self.loads[node] = len
        return tree.Length(array=array, dimension=0)

    def _convert(self, node: ast.Call, kind: Scalar) -> Checked:
        (value,) = self._arguments(node, 1) or (None,)
        if value is None:
            return None
        if isinstance(value, Literal):
            try:
                folded = operations.convert(kind, value.value)
            except (ValueError, OverflowError) as error:
                self.error(node, str(error))
                return None
            self.operations[node] = partial(operations.convert, kind)
            return tree.Const(type=kind, value=folded)
        if value.type is None:
            self.error(node.args[0], "this call has no value", "its function returns None")
            return None
        if isinstance(value.type, PointerType) and kind is U32:
            return self._cast(node, kind)
        if isinstance(value.type, PointerType | CallableType) and kind is not BOOL:
            hint = "write u32(...) for the address" if isinstance(value.type, PointerType) else ""
            self.error(node, f"{kind} of {value.type}", hint)
            return None
        if value.type == kind:
            self.operations[node] = partial(operations.convert, kind)
            return value
        if kind is BOOL:
            self.operations[node] = partial(operations.convert, kind)
            return as_condition(value)
        return self.operation(node, "convert", kind, (value,))

    # -- pointers and references -----------------------------------------------------------------------------------------

    def _cast(self, node: ast.Call, kind: Scalar) -> Checked:
        """`Pointer[T](p)`, `u32(p)`: the same address."""
        (value,) = self._arguments(node, 1) or (None,)
        if value is None:
            return None
        source = self.type_of(value)
        settled = (
            value
            if isinstance(value, tree.Expr) and isinstance(source, PointerType)
            else self.settle(node.args[0], value, U32)
        )
        if settled is None:
            return None
        self.operations[node] = int
        return tree.Raw(name="cast", operands=(settled,), type=kind)

    @abstractmethod
    def type_value(self, node: ast.expr) -> object:
        """What an expression that names a type means; `MISSING` after an error."""

    def _call_raw(self, node: ast.Call, callee: object) -> Checked:
        """The functions of `interlock.raw`."""
        if callee in _OF_ONE:
            if len(node.args) != 1:
                self.error(node, f"{ast.unparse(node.func)} takes 1 argument, not {len(node.args)}")
                return None
            is_size = callee is pointers.size_of
            return self._size_of(node) if is_size else self._address_of(node)
        name, params, result = _RAW[callee]
        values = self._arguments(node, len(params))
        if values is None:
            return None
        operands = [
            self._any_pointer(each, value) if kind is None else self.settle(each, value, kind)
            for each, value, kind in zip(node.args, values, params, strict=True)
        ]
        if None in operands:
            return None
        self.operations[node] = getattr(self.machine, callee.__name__)  # type: ignore[attr-defined]  # a function of ours
        settled = tuple(each for each in operands if each is not None)
        return tree.Raw(name=name, operands=settled, type=result)

    def _any_pointer(self, node: ast.expr, value: Checked) -> tree.Expr | None:
        kind = self.type_of(value)
        if isinstance(value, tree.Expr) and isinstance(kind, PointerType):
            return value
        if kind is not None:
            self.error(node, f"this is {kind}, where a pointer is wanted")
        return None

    def _size_of(self, node: ast.Call) -> Checked:
        value = self.type_value(node.args[0])
        element = None if value is MISSING else element_of(value)
        if element is None:
            if value is not MISSING:
                self.error(node.args[0], "this is no type with a size", "write size_of(f64)")
            return None
        self.operations[node] = lambda _kind: element.size_bytes
        return Literal(element.size_bytes)

    def _address_of(self, node: ast.Call) -> Checked:
        argument = node.args[0]
        is_place = isinstance(argument, ast.Subscript | ast.Attribute) and self.is_computed(
            argument
        )
        place = self.place(argument) if is_place else None
        if place is None:
            if not is_place:
                self.error(argument, "this has no address", "write address_of(p.x) of a pointer p")
            return None
        if isinstance(place, tree.Access):
            self.error(
                argument,
                "elements of arrays have no address",
                "pass a pointer: interlock.array_address(array)",
            )
            return None
        self.addresses[node] = partial(self.machine.address, *scale_of(place))
        return tree.Address(
            pointer=place.pointer,
            index=None,
            scale=0,
            offset=place.offset,
            type=pointer_to(place.element),
        )

    def _call_reference(self, node: ast.Call) -> Checked:
        """A call of what a variable, an element or a field refers to."""
        function = self.expression(node.func)
        values = [self.expression(each) for each in node.args]
        if function is None:
            return None
        kind = self.type_of(function)
        if not isinstance(kind, CallableType) or isinstance(function, Literal):
            self.error(node.func, f"{ast.unparse(node.func)} is a number, not a function")
            return None
        if not self._is_positional(node):
            return None
        if len(values) != len(kind.params):
            count = _count(len(kind.params), "argument")
            self.error(node, f"{ast.unparse(node.func)} takes {count}, not {len(values)}")
            return None
        settled = [self.settle(*each) for each in zip(node.args, values, kind.params, strict=True)]
        if None in settled:
            return None
        self.references[node] = partial(self.machine.call, kind)
        arguments = tuple(each for each in settled if each is not None)
        return tree.CallReference(function=function, kind=kind, arguments=arguments)

    def function_reference(self, node: ast.expr, value: object) -> Checked:
        """A compiled function that is named and not called: its types are those of its annotations."""
        definition = definition_of(value)
        signature = None if definition is None else self.callee(node, definition, ())
        if signature is None:
            return None
        params = tuple(each for each in signature.params if isinstance(each, Scalar))
        if len(params) != len(signature.params):
            self.error(
                node, f"{signature.name} takes arrays, and has no references", "pass pointers"
            )
            return None
        table = self.machine.table
        if signature not in table:
            table.append(signature)
        number = table.index(signature) + 1
        self.loads[node] = lambda: number
        kind = callable_type(params, signature.result)
        return tree.Reference(callee=signature, number=number, type=kind)

    def _is_positional(self, node: ast.Call) -> bool:
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            self.error(node, "arguments are passed by position", "write them one by one, in order")
            return False
        return True

    def _arguments(self, node: ast.Call, count: int) -> list[Checked] | None:
        values = [self.expression(each) for each in node.args]
        if len(values) == count:
            return values
        self.error(
            node, f"{ast.unparse(node.func)} takes {_count(count, 'argument')}, not {len(values)}"
        )
        return None

    def _type_argument(self, node: ast.Call) -> tuple[Scalar, Checked] | None:
        """The two arguments of `wrap` and `bitcast`: a type and a value."""
        if len(node.args) != 2:
            self.error(node, f"{ast.unparse(node.func)} takes a type and a number")
            return None
        kind = scalar_of(self.resolve(node.args[0]))
        if kind is None or kind is BOOL:
            self.error(node.args[0], "this is no number type", "write u32, for example")
            return None
        value = self.expression(node.args[1])
        if isinstance(value, Literal):
            self.error(
                node.args[1], "the type of this number is not known", "write i64(...) around it"
            )
            return None
        return kind, value

    def _bitcast(self, node: ast.Call) -> Checked:
        found = self._type_argument(node)
        if found is None or not isinstance(value := found[1], tree.Expr) or value.type is None:
            return None
        kind = found[0]
        if value.type.bits != kind.bits:
            self.error(node, f"{value.type} and {kind} differ in width")
            return None
        cast = self.operation(node, "bitcast", kind, (value,))
        self.operations[node] = partial(operations.bitcast, kind, value.type)
        return cast

    def _call_builtin(self, node: ast.Call, builtin: syntax.Builtin) -> Checked:
        if builtin.takes_type:
            found = self._type_argument(node)
            if found is None or not isinstance(value := found[1], tree.Expr):
                return None
            kind = found[0]
            if not self.wants(node, kind, builtin.on, builtin.name) or not self.wants(
                node, value.type, builtin.on, builtin.name
            ):
                return None
            return self.operation(node, builtin.name, kind, (value,))
        values = self._arguments(node, builtin.operand_count)
        if values is None:
            return None
        met = self.meet(node, values, ast.unparse(node.func))
        if (
            met is not None
            and met.is_integer
            and builtin.on == "f"
            and all(isinstance(value, Literal) or widens(met, F64) for value in values)
        ):
            met = F64
        if met is None or not self.wants(node, met, builtin.on, ast.unparse(node.func)):
            return None
        operands = [
            self.settle(each, value, met) for each, value in zip(node.args, values, strict=True)
        ]
        return self.operation(node, builtin.name, met, operands)


# What takes a type or a place, not a value.
_OF_ONE: Final = (pointers.size_of, pointers.address_of)
# Instruction, parameters (None: any pointer), result.
_RAW: Final[dict[object, tuple[str, tuple[Scalar | None, ...], Scalar | None]]] = {
    pointers.memory_size: ("memory.size", (), U32),
    pointers.memory_grow: ("memory.grow", (U32,), I32),
    pointers.memory_fill: ("memory.fill", (None, I32, U32), None),
    pointers.memory_copy: ("memory.copy", (None, None, U32), None),
}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _how_to_call(callee: object, name: str) -> str:
    if callee is print:
        return "print in the caller"
    if getattr(callee, "__module__", "") in {"builtins", "math"}:
        return ""
    return f"put @interlock.jit above {name}" if callable(callee) else ""
