"""Check, first half: expressions.  From syntax trees to typed trees; every error is noted, and checking goes on.

A checked expression is a typed tree, a `Literal` whose type its surroundings decide, or None: an error that was noted, or
a variable whose type is not known yet.
"""

from __future__ import annotations

import ast
import operator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from interlock import intrinsics, limits
from interlock.typed_python import operations, syntax, tree
from interlock.typed_python.diagnostics import Diagnostic
from interlock.typed_python.scalars import BOOL, F64, I64, U64, Scalar, common, widens
from interlock.typed_python.source import Definition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Literal:
    """An integer or float that was written down, or computed from such ones alone."""

    value: int | float


Checked: TypeAlias = "tree.Expr | Literal | None"

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
_OF_CLASS: Final = {int: I64, float: F64, bool: BOOL}
_KIND_WORDS: Final = {"i": "integers", "f": "floats", "b": "bools"}


def scalar_of(value: object) -> Scalar | None:
    """The scalar type that an annotation's value or a conversion's name means."""
    if isinstance(value, type) and value in _OF_CLASS:
        return _OF_CLASS[value]
    found = getattr(value, "scalar", None)
    return found if isinstance(found, Scalar) else None


def definition_of(value: object) -> Definition | None:
    """The definition behind a compiled function."""
    found = getattr(value, "definition", None)
    return found if isinstance(found, Definition) else None


class ExpressionChecker:
    """Expressions of one function."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.diagnostics: dict[Diagnostic, None] = {}
        self.variables: dict[str, Scalar | None] = {}  # None: its type is not known yet
        self.assigned: set[str] | None = set()  # certainly; None: control does not come here
        self.temporary_count = 0
        # For `reference.py`: what stands in the place of a node when Python runs the source.
        self.conversions: dict[ast.AST, Scalar] = {}
        self.operations: dict[ast.AST, Callable[..., operations.Value]] = {}
        self.callees: dict[ast.Call, tree.Signature] = {}

    # -- for the other half ----------------------------------------------------------------------------------------------

    def callee(
        self, node: ast.Call, definition: Definition, arguments: Sequence[Scalar | None]
    ) -> tree.Signature | None:
        """The signature of what is called with arguments of these types; None: not known yet, or an error."""
        raise NotImplementedError

    def error(self, node: ast.AST, message: str, hint: str = "") -> None:
        """Note an error at a node, unless it or one inside it has been noted."""
        line = getattr(node, "lineno", 0)
        text = self.definition.line_text(line)
        start = _characters(text, getattr(node, "col_offset", 0))
        is_one_line = getattr(node, "end_lineno", line) == line
        end = _characters(text, getattr(node, "end_col_offset", 0)) if is_one_line else len(text)
        found = Diagnostic(
            file=self.definition.file,
            line=line,
            column=start,
            end_column=end,
            function=self.definition.name,
            text=text,
            message=message,
            hint=hint,
        )
        self.diagnostics[found] = None

    def unsupported(self, node: ast.AST, where: ast.AST | None = None) -> None:
        """Note that a node of Python is not part of typed Python."""
        name, instead = syntax.INSTEAD.get(type(node), (type(node).__name__, ""))
        self.error(where or node, f"{name} is not supported", instead)

    # -- values and types ------------------------------------------------------------------------------------------------

    def settle(self, node: ast.expr, value: Checked, kind: Scalar) -> tree.Expr | None:
        """The value as one of this type: a literal takes it, and a narrower type widens."""
        if value is None:
            return None
        if isinstance(value, Literal):
            return self._settle_literal(node, value.value, kind)
        if value.type is None:
            self.error(node, "this call has no value", "its function returns None")
            return None
        if value.type == kind:
            return value
        if not widens(value.type, kind):
            self.error(
                node,
                f"this is {value.type}, where {kind} is wanted",
                f"write {kind}(...) to convert it",
            )
            return None
        return self._converted(node, value, kind)

    def _settle_literal(self, node: ast.expr, value: float, kind: Scalar) -> tree.Expr | None:
        if kind is BOOL:
            self.error(node, "this is a number, where bool is wanted", "write a comparison")
        elif kind.is_float:
            self.conversions[node] = kind
            return tree.Const(type=kind, value=operations.fit(kind, value))
        elif isinstance(value, int) and kind.holds(value):
            self.conversions[node] = kind
            return tree.Const(type=kind, value=value)
        elif isinstance(value, int):
            self.error(node, f"{kind} does not hold {value}")
        else:
            self.error(
                node, f"this is a float, where {kind} is wanted", f"write {kind}(...) to convert it"
            )
        return None

    def _converted(self, node: ast.expr, value: tree.Expr, kind: Scalar) -> tree.Expr:
        self.conversions[node] = kind
        return tree.Operation(
            name="convert", kind=kind, type=kind, operands=(value,), place=tree.place_of(node)
        )

    def type_of(self, value: Checked) -> Scalar | None:
        """The type of a checked expression; of a literal, the one it takes when nothing else decides."""
        if isinstance(value, Literal):
            return F64 if isinstance(value.value, float) else I64
        return None if value is None else value.type

    def meet(self, node: ast.AST, values: Sequence[Checked], what: str) -> Scalar | None:
        """The type in which operands meet: literals take the others' type."""
        kinds = [
            value.type for value in values if value is not None and not isinstance(value, Literal)
        ]
        if None in values or None in kinds:
            if None in kinds:
                self.error(node, "a call of a function that returns None has no value")
            return None
        found: Scalar | None = None
        for kind in kinds:
            assert kind is not None  # noqa: S101  (for the type checker: looked at above)
            met = kind if found is None else common(found, kind)
            if met is None:
                self.error(
                    node,
                    f"{what} of {found} and {kind}",
                    f"write {found}(...) or {kind}(...) to convert one",
                )
                return None
            found = met
        for value in values:
            if not isinstance(value, Literal):
                continue
            if found is None or (isinstance(value.value, float) and not found.is_float):
                own = self.type_of(value)
                assert own is not None  # noqa: S101  (a literal has one)
                met = own if found is None or found is own else common(found, own)
                if met is None:
                    self.error(
                        node,
                        f"{what} of {found} and a float",
                        f"write f64(...) to convert the {found}",
                    )
                    return None
                found = met
        return found

    def wants(self, node: ast.AST, kind: Scalar | None, on: str, what: str) -> bool:
        """Whether an operation exists for a type; None: not known yet."""
        if kind is None:
            return False
        letter = "f" if kind.is_float else "b" if kind is BOOL else "i"
        if letter not in on:
            words = " or ".join(_KIND_WORDS[each] for each in on)
            self.error(node, f"{what} is for {words}, not for {kind}", self._advice(what, kind))
        return letter in on

    @staticmethod
    def _advice(what: str, kind: Scalar) -> str:
        if what == "/" and kind.is_integer:
            return "write f64(...) / f64(...), or // for whole numbers"
        if what in {"//", "%"} and kind.is_float:
            quotient = "floor(a / b), with floor of interlock.intrinsics"
            return f"write {quotient}" if what == "//" else f"write a - b * {quotient}"
        if kind is BOOL:
            return "write i32(...) to convert it"
        return f"write f64(...) to convert the {kind}" if kind.is_integer else ""

    # -- expressions -----------------------------------------------------------------------------------------------------

    def expression(self, node: ast.expr, wanted: Scalar | None = None) -> Checked:
        """Check an expression; `wanted` is the type that a choice between literals takes, where it is known."""
        match node:
            case ast.Constant():
                return self._constant(node, node.value)
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return self._constant(node, self.resolve(node))
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
                return self._call(node)
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

    def _constant(self, node: ast.expr, value: object) -> Checked:
        match value:
            case bool():
                return tree.Const(type=BOOL, value=value)
            case int() | float():
                return Literal(value)
            case None:
                self.error(node, "None is not a value of typed Python")
            case str() | bytes():
                self.error(
                    node, "text is not a value of typed Python", "pass bytes as an array of u8"
                )
            case _Missing():
                pass
            case _:
                name = ast.unparse(node)
                self.error(
                    node, f"{name} is {_article(value)}, which is no number", _how_to_use(value)
                )
        return None

    def _name(self, node: ast.Name) -> Checked:
        if node.id not in self.variables:
            return self._constant(node, self.resolve(node))
        if self.assigned is not None and node.id not in self.assigned:
            self.error(
                node, f"{node.id} may not have a value here", f"assign to it before: {node.id} = 0"
            )
        kind = self.variables[node.id]
        return None if kind is None else tree.Get(variable=tree.Variable(name=node.id, type=kind))

    def resolve(self, node: ast.expr) -> object:
        """What a dotted name means outside the function; `_MISSING` after an error."""
        if isinstance(node, ast.Name):
            if node.id in self.variables:
                return _VARIABLE
            try:
                return self.definition.lookup(node.id)
            except KeyError:
                self.error(node, f"{node.id} is not defined")
                return _MISSING
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            if isinstance(owner, _Missing):
                if owner is _VARIABLE:
                    self.error(node, f"{ast.unparse(node.value)} has no attributes")
                return _MISSING
            if isinstance(owner, ModuleType | type) and hasattr(owner, node.attr):
                return getattr(owner, node.attr)
            self.error(node, f"{ast.unparse(node)} is not defined")
            return _MISSING
        self.error(node, "only a name can be called, or looked into")
        return _MISSING

    def binary(
        self, node: ast.expr | ast.AugAssign, left: ast.expr, op: ast.operator, right: ast.expr
    ) -> Checked:
        """An operator with two operands."""
        row = syntax.BINARY.get(type(op))
        if row is None:
            self.unsupported(op, node)
            return None
        first, second = self.expression(left), self.expression(right)
        if isinstance(first, Literal) and isinstance(second, Literal):
            return self._folded(node, op, first.value, second.value)
        if row.name == "pow":
            return self._power(node, left, first, right, second)
        if row.name in {"lshift", "rshift"}:
            return self._shift(node, (left, first), (right, second), row)
        kind = self._arithmetic_kind(node, first, second, row)
        if kind is None:
            return None
        operands = (self._operand(left, first, kind), self._operand(right, second, kind))
        return self.operation(node, row.name, kind, operands)

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
            return self._converted(node, value, kind)
        return self.settle(node, value, kind)

    def operation(
        self,
        node: ast.expr | ast.AugAssign,
        name: str,
        kind: Scalar,
        operands: Sequence[tree.Expr | None],
        result: Scalar | None = None,
    ) -> Checked:
        """An operation on operands of one type."""
        settled = tuple(operand for operand in operands if operand is not None)
        if len(settled) < len(operands):
            return None
        self.operations[node] = partial(operations.REFERENCES[name], kind)
        return tree.Operation(
            name=name, kind=kind, type=result or kind, operands=settled, place=tree.place_of(node)
        )

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
                node, kind, "if" if is_ordered else "ifb", "this comparison"
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
            parts.append(tree.Comparison(name=name, left=left, right=right, type=BOOL))
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

    # -- calls -----------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Checked:
        callee = self.resolve(node.func)
        if isinstance(callee, _Missing):
            if callee is _VARIABLE:
                self.error(node.func, f"{ast.unparse(node.func)} is a number, not a function")
            return None
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            self.error(node, "arguments are passed by position", "write them one by one, in order")
            return None
        definition = definition_of(callee)
        if definition is not None:
            return self._call_function(node, definition)
        kind = scalar_of(callee)
        if kind is not None:
            return self._convert(node, kind)
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

    def _call_function(self, node: ast.Call, definition: Definition) -> Checked:
        values = [self.expression(each) for each in node.args]
        signature = self.callee(node, definition, [self.type_of(each) for each in values])
        if signature is None:
            return None
        if len(values) != len(signature.params):
            self.error(
                node,
                f"{signature.name} takes {_count(len(signature.params), 'argument')}, not {len(values)}",
            )
            return None
        arguments = [
            self.settle(each, value, kind)
            for each, value, kind in zip(node.args, values, signature.params, strict=True)
        ]
        if None in arguments:
            return None
        self.callees[node] = signature
        settled = tuple(each for each in arguments if each is not None)
        return tree.Call(callee=signature, arguments=settled, place=tree.place_of(node))

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


class _Missing:
    """What a name resolves to that has no value outside the function."""


_MISSING: Final = _Missing()
_VARIABLE: Final = _Missing()


def as_condition(value: tree.Expr) -> tree.Expr:
    """A value as a bool: whether it is not zero."""
    kind = value.type
    if kind is BOOL or kind is None:
        return value
    zero = tree.Const(type=kind, value=operations.fit(kind, 0))
    return tree.Comparison(name="ne", left=value, right=zero, type=BOOL)


def negated(condition: tree.Expr) -> tree.Expr:
    """`not condition`."""
    return tree.Conditional(
        condition=condition,
        then=tree.Const(type=BOOL, value=False),
        otherwise=tree.Const(type=BOOL, value=True),
        type=BOOL,
    )


def _characters(text: str, bytes_offset: int) -> int:
    """A column in characters: Python's syntax trees count bytes of UTF-8."""
    return len(text.encode()[:bytes_offset].decode(errors="ignore"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _article(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _how_to_use(value: object) -> str:
    if isinstance(value, list | tuple | dict | set):
        return "pass its elements as an array"
    return "call it" if callable(value) else ""


def _how_to_call(callee: object, name: str) -> str:
    if callee is print:
        return "print in the caller"
    if getattr(callee, "__module__", "") in {"builtins", "math"}:
        return ""
    return f"put @interlock.jit above {name}" if callable(callee) else ""
