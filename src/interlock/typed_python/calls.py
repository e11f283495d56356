"""Check, calls: of compiled functions, of conversions, and of the functions that have a meaning of their own."""

from __future__ import annotations

import ast
from abc import abstractmethod
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING

from interlock import intrinsics
from interlock.typed_python import mathlib, operations, syntax, tree
from interlock.typed_python.arrays import ArrayChecker
from interlock.typed_python.expressions import as_condition
from interlock.typed_python.layout import ArrayType
from interlock.typed_python.scalars import BOOL, F64, Scalar, widens
from interlock.typed_python.values import (
    VARIABLE,
    Checked,
    Literal,
    Missing,
    definition_of,
    scalar_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.typed_python.layout import Type
    from interlock.typed_python.source import Definition


class CallChecker(ArrayChecker):
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
        callee = self.resolve(node.func)
        if isinstance(callee, Missing):
            if callee is VARIABLE:
                self.error(node.func, f"{ast.unparse(node.func)} is a number, not a function")
            return None
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            self.error(node, "arguments are passed by position", "write them one by one, in order")
            return None
        definition = self._definition(callee)
        if definition is not None:
            return self._call_function(node, definition)
        kind = scalar_of(callee)
        if kind is not None:
            return self._convert(node, kind)
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
        if value.type == kind:
            self.operations[node] = partial(operations.convert, kind)
            return value
        if kind is BOOL:
            self.operations[node] = partial(operations.convert, kind)
            return as_condition(value)
        return self.operation(node, "convert", kind, (value,))

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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _how_to_call(callee: object, name: str) -> str:
    if callee is print:
        return "print in the caller"
    if getattr(callee, "__module__", "") in {"builtins", "math"}:
        return ""
    return f"put @interlock.jit above {name}" if callable(callee) else ""
