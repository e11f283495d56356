"""Check, expressions: from syntax trees to typed trees; every error is noted, and checking goes on."""

from __future__ import annotations

import ast
import operator
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from interlock import limits
from interlock.typed_python import operations, syntax, tree
from interlock.typed_python.layout import PointerType
from interlock.typed_python.scalars import BOOL, F32, F64, I64, U64, Scalar
from interlock.typed_python.values import Checked, Literal, ValueChecker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FOLDS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_FOLDED_SHIFT_MAX: Final = 4096  # so that a constant does not take all memory


class ExpressionChecker(ValueChecker, ABC):
    """Expressions of one function; those that classes which extend this one check are abstract."""

    @abstractmethod
    def call(self, node: ast.Call) -> Checked:
        """Check a call."""

    @abstractmethod
    def float_operator(
        self,
        node: ast.expr | ast.AugAssign,
        name: str,
        operands: tuple[tree.Expr | None, tree.Expr | None],
    ) -> Checked:
        """An operator of f64 that is no instruction."""

    @abstractmethod
    def subscript(self, node: ast.Subscript) -> Checked:
        """Check an element of an array."""

    @abstractmethod
    def attribute(self, node: ast.Attribute) -> Checked:
        """Check a field of an element."""

    # -- expressions -----------------------------------------------------------------------------------------------------

    def expression(self, node: ast.expr, wanted: Scalar | None = None) -> Checked:
        """Check an expression; `wanted` is the type that a choice between literals takes, where it is known."""
        match node:
            case ast.Constant():
                return self._constant(node, node.value)
            case ast.Name():
                return self._name(node)
            case ast.Attribute() if self.is_computed(node):
                return self.attribute(node)
            case ast.Attribute():
                return self._constant(node, self.resolve(node))
            case ast.Subscript():
                return self.subscript(node)
            case ast.BinOp():
                return self.binary(node, node.left, node.op, node.right)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BoolOp():
                return self._logical(node, self._bool)
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                return self._conditional(node, wanted)
            case ast.Call():
                return self.call(node)
        self.unsupported(node)
        return None

    def value(self, node: ast.expr, kind: Scalar) -> tree.Expr | None:
        """Check an expression whose type is known beforehand."""
        return self.settle(node, self.expression(node, kind), kind)

    def condition(self, node: ast.expr) -> tree.Expr | None:
        """Check a condition: a bool, or a number that is compared with zero."""
        if isinstance(node, ast.BoolOp):
            return self._logical(node, self.condition)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            operand = self.condition(node.operand)
            return None if operand is None else negated(operand)
        checked = self.expression(node)
        if isinstance(checked, Literal):
            return tree.Const(type=BOOL, value=bool(checked.value))
        if checked is not None and checked.type is None:
            self.error(node, "this call has no value", "its function returns None")
            return None
        return None if checked is None else as_condition(checked)

    def binary(
        self, node: ast.expr | ast.AugAssign, left: ast.expr, op: ast.operator, right: ast.expr
    ) -> Checked:
        """An operator with two operands."""
        return self.binary_of(node, (left, self.expression(left)), op, right)

    def binary_of(
        self,
        node: ast.expr | ast.AugAssign,
        read: tuple[ast.expr, Checked],
        op: ast.operator,
        right: ast.expr,
    ) -> Checked:
        """An operator whose first operand has been checked."""
        left, first = read
        row = syntax.BINARY.get(type(op))
        if row is None:
            self.unsupported(op, node)
            return None
        wanted = None if isinstance(first, Literal) else self.type_of(first)
        second = self.expression(right, wanted)
        if isinstance(first, Literal) and isinstance(second, Literal):
            return self._folded(node, op, first.value, second.value)
        if isinstance(self.type_of(first), PointerType) and row.name in {"add", "sub"}:
            return self._moved(node, first, op, (right, second))
        if row.name == "pow":
            return self._power(node, left, first, right, second)
        if row.name in {"lshift", "rshift"}:
            return self._shift(node, (left, first), (right, second), row)
        kind = self._arithmetic_kind(node, first, second, row)
        if kind is None:
            return None
        operands = (self._operand(left, first, kind), self._operand(right, second, kind))
        if kind.is_float and row.name in {"mod", "floordiv"}:
            return self.float_operator(node, row.name, operands)
        return self.operation(node, row.name, kind, operands)

    def _moved(
        self,
        node: ast.expr | ast.AugAssign,
        pointer: Checked,
        op: ast.operator,
        by: tuple[ast.expr, Checked],
    ) -> Checked:
        """`p + n`, `p - n`: so many elements on, or back."""
        kind, index = self.type_of(pointer), self.settle(*by, I64)
        if not isinstance(kind, PointerType) or not isinstance(pointer, tree.Expr) or index is None:
            return None
        try:
            scale = kind.element.size_bytes
        except TypeError as error:
            self.error(node, str(error))
            return None
        if isinstance(op, ast.Sub):
            scale = -scale
        self.operations[node] = partial(self.machine.address, scale, 0)
        return tree.Address(pointer=pointer, index=index, scale=scale, offset=0, type=kind)

    def is_computed(self, node: ast.expr) -> bool:
        """Whether a chain of subscripts and attributes begins with a value of the function, not with a module."""
        while isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        if not isinstance(node, ast.Name):
            return True
        return node.id in self.variables or node.id in self.arrays

    def _arithmetic_kind(
        self, node: ast.AST, first: Checked, second: Checked, row: syntax.Operator
    ) -> Scalar | None:
        kinds = {self.type_of(first), self.type_of(second)}
        is_typed = first is not None and second is not None
        is_exact = any(
            isinstance(each, Literal) and isinstance(each.value, int) for each in (first, second)
        )
        if (
            is_typed
            and kinds <= {I64, F64, U64}
            and F64 in kinds
            and "f" in row.on
            and not is_exact
        ):
            return F64  # an integer beside a float becomes one, rounded, in Python too
        kind = self.meet(node, (first, second), row.symbol)
        if row.name == "truediv" and kind is not None and kind.is_integer and kind.bits == 32:
            return F64
        if row.name == "truediv" and kind is I64 and self._are_narrow(first, second):
            return F64
        if kind is F32 and row.name in {"mod", "floordiv"}:
            self.error(
                node,
                f"{row.symbol} is for integers and f64, not for f32",
                "write f64(...) to convert it",
            )
            return None
        return kind if self.wants(node, kind, row.on, row.symbol) else None

    def _are_narrow(self, *values: Checked) -> bool:
        """Whether f64 holds the integers exactly: of 32 bits, or literals."""
        return all(
            abs(value.value) <= 1 << 53
            if isinstance(value, Literal)
            else value is not None and value.type is not None and value.type.bits == 32
            for value in values
        )

    def _operand(self, node: ast.expr, value: Checked, kind: Scalar) -> tree.Expr | None:
        is_rounded = (
            kind is F64
            and value is not None
            and not isinstance(value, Literal)
            and value.type is not None
            and value.type.is_integer
        )
        if is_rounded:
            assert value is not None  # noqa: S101  (for the type checker: said by is_rounded)
            assert not isinstance(value, Literal)  # noqa: S101  (likewise)
            return self.converted(node, value, kind)
        return self.settle(node, value, kind)

    def operation(
        self,
        node: ast.expr | ast.AugAssign,
        name: str,
        kind: Scalar,
        operands: Sequence[tree.Expr | None],
    ) -> Checked:
        """An operation on operands of one type."""
        settled = tuple(operand for operand in operands if operand is not None)
        if len(settled) < len(operands):
            return None
        self.operations[node] = partial(operations.REFERENCES[name], kind)
        return tree.Operation(name=name, kind=kind, operands=settled, place=tree.place_of(node))

    def _folded(self, node: ast.AST, op: ast.operator, left: float, right: float) -> Checked:
        is_huge = isinstance(op, ast.Pow | ast.LShift) and abs(right) > _FOLDED_SHIFT_MAX
        if is_huge or abs(left) > 1 << _FOLDED_SHIFT_MAX:
            self.error(node, "this constant is too large")
            return None
        try:
            found = _FOLDS[type(op)](left, right)
        except (ArithmeticError, TypeError, ValueError) as error:
            self.error(node, f"this constant has no value: {error}")
            return None
        if isinstance(found, complex):
            self.error(node, "this constant is a complex number")
            return None
        return Literal(found)

    def _power(
        self,
        node: ast.expr | ast.AugAssign,
        left: ast.expr,
        base: Checked,
        right: ast.expr,
        exponent: Checked,
    ) -> Checked:
        if base is None or exponent is None:
            return None
        value = exponent.value if isinstance(exponent, Literal) else None
        if not isinstance(value, int) or not 0 <= value <= limits.PYTHON_EXPONENT_MAX:
            most = limits.PYTHON_EXPONENT_MAX
            self.error(
                right,
                f"an exponent is a constant from 0 to {most}",
                "write a loop of multiplications",
            )
            return None
        kind = self.type_of(base)
        if not self.wants(left, kind, "if", "**"):
            return None
        assert kind is not None  # noqa: S101  (wants says so)
        # The exponent is no value of the type: its own operand stays a constant.
        constant = tree.Const(type=kind, value=value)
        return self.operation(node, "pow", kind, (self.settle(left, base, kind), constant))

    def _shift(
        self,
        node: ast.expr | ast.AugAssign,
        left: tuple[ast.expr, Checked],
        right: tuple[ast.expr, Checked],
        row: syntax.Operator,
    ) -> Checked:
        """A shift has the type of what is shifted."""
        kind = self.type_of(left[1])
        if right[1] is None or not self.wants(left[0], kind, row.on, row.symbol):
            return None
        assert kind is not None  # noqa: S101  (wants says so)
        return self.operation(
            node, row.name, kind, (self.settle(*left, kind), self.settle(*right, kind))
        )

    def _unary(self, node: ast.UnaryOp) -> Checked:
        if isinstance(node.op, ast.Not):
            return self.condition(node)
        operand = self.expression(node.operand)
        if isinstance(operand, Literal):
            if isinstance(node.op, ast.Invert):
                if isinstance(operand.value, int):
                    return Literal(~operand.value)
                self.error(node, "~ is for integers")
                return None
            return Literal(-operand.value if isinstance(node.op, ast.USub) else operand.value)
        kind = self.type_of(operand)
        row = syntax.UNARY.get(type(node.op))
        symbol, on = (row.symbol, row.on) if row is not None else ("+", "if")
        if operand is None or kind is None or not self.wants(node, kind, on, symbol):
            return None
        if row is None:
            return operand
        if row.name == "invert" and not kind.is_signed:
            self.error(node, f"~ of {kind} is negative", f"write x ^ {hex(kind.maximum)}")
            return None
        return self.operation(node, row.name, kind, (operand,))

    def _bool(self, node: ast.expr) -> tree.Expr | None:
        return self.value(node, BOOL)

    def _logical(
        self, node: ast.BoolOp, operand: Callable[[ast.expr], tree.Expr | None]
    ) -> tree.Expr | None:
        """`and` and `or`, from the right: each decides whether the next is looked at."""
        found = [operand(each) for each in node.values]
        if None in found:
            return None
        *first, last = (each for each in found if each is not None)
        for each in reversed(first):
            is_and = isinstance(node.op, ast.And)
            constant = tree.Const(type=BOOL, value=not is_and)
            last = tree.Conditional(
                condition=each,
                then=last if is_and else constant,
                otherwise=constant if is_and else last,
                type=BOOL,
            )
        return last

    def _compare(self, node: ast.Compare) -> Checked:
        """Comparisons; what stands between two is computed once."""
        nodes = [node.left, *node.comparators]
        values = [self.expression(each) for each in nodes]
        if None in values:
            return None
        parts: list[tree.Expr] = []
        carried: tree.Expr | None = None
        for at, op in enumerate(node.ops):
            name = syntax.COMPARISONS.get(type(op))
            if name is None:
                self.unsupported(op, node)
                return None
            first, second = values[at] if carried is None else carried, values[at + 1]
            if isinstance(first, Literal) and isinstance(second, Literal):
                folded = getattr(operator, name)(first.value, second.value)
                parts.append(tree.Const(type=BOOL, value=folded))
                carried = None
                continue
            kind = self.meet(node, (first, second), "comparison")
            is_ordered = name not in {"eq", "ne"}
            if kind is None or not self.wants(
                node, kind, "ifp" if is_ordered else "ifbpc", "this comparison"
            ):
                return None
            left, right = (
                self.settle(nodes[at], first, kind),
                self.settle(nodes[at + 1], second, kind),
            )
            if left is None or right is None:
                return None
            carried = None
            if at + 1 < len(node.ops) and not isinstance(second, Literal):
                variable = self.temporary(kind)
                carried, right = (
                    tree.Get(variable=variable),
                    tree.Tee(variable=variable, value=right),
                )
            parts.append(tree.Comparison(name=name, left=left, right=right))
        return self._all(parts)

    @staticmethod
    def _all(parts: list[tree.Expr]) -> tree.Expr:
        *first, last = parts
        for each in reversed(first):
            no = tree.Const(type=BOOL, value=False)
            last = tree.Conditional(condition=each, then=last, otherwise=no, type=BOOL)
        return last

    def temporary(self, kind: Scalar) -> tree.Variable:
        """A new variable of the checker's own."""
        self.temporary_count += 1
        return tree.Variable(name=f"${self.temporary_count}", type=kind)

    def _conditional(self, node: ast.IfExp, wanted: Scalar | None) -> Checked:
        condition = self.condition(node.test)
        values = self.expression(node.body, wanted), self.expression(node.orelse, wanted)
        is_open = all(isinstance(each, Literal) for each in values)
        kind = wanted if is_open and wanted is not None else self.meet(node, values, "a choice")
        if condition is None or kind is None:
            return None
        then, otherwise = (
            self.settle(node.body, values[0], kind),
            self.settle(node.orelse, values[1], kind),
        )
        if then is None or otherwise is None:
            return None
        return tree.Conditional(condition=condition, then=then, otherwise=otherwise, type=kind)


def as_condition(value: tree.Expr) -> tree.Expr:
    """A value as a bool: whether it is not zero."""
    kind = value.type
    if kind is BOOL or kind is None:
        return value
    zero = tree.Const(type=kind, value=operations.fit(kind, 0))
    return tree.Comparison(name="ne", left=value, right=zero)


def negated(condition: tree.Expr) -> tree.Expr:
    """`not condition`."""
    return tree.Conditional(
        condition=condition,
        then=tree.Const(type=BOOL, value=False),
        otherwise=tree.Const(type=BOOL, value=True),
        type=BOOL,
    )
