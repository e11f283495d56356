"""Check, statements: control, and where variables certainly have a value."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.typed_python import syntax, tree
from interlock.typed_python.layout import ArrayType, Type
from interlock.typed_python.scalars import BOOL, F64, I64, Scalar, common
from interlock.typed_python.values import Checked, Literal
from interlock.typed_python.variables import VariableChecker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interlock.typed_python.machine import Machine
    from interlock.typed_python.source import Definition

_RESULT: Final = "return"  # as a variable: no name of Python's


class StatementChecker(VariableChecker):
    """One function, for one choice of parameter types."""

    def __init__(self, definition: Definition, machine: Machine, source: ast.FunctionDef) -> None:
        super().__init__(definition, machine)
        self.source = source
        self.result: Scalar | None = None
        self.is_result_declared = False
        self.breaks: list[set[str] | None] = []  # of each open loop: assigned at its breaks

    # -- the function ----------------------------------------------------------------------------------------------------

    def function(self, params: Sequence[Type]) -> tuple[tree.Stmt, ...]:
        """Check the body; errors are in `diagnostics`."""
        names = [each.arg for each in self.source.args.args]
        for name, given in zip(names, params, strict=True):
            if isinstance(given, ArrayType):
                self.arrays[name] = tree.Array(name=name, type=given)
            else:
                self.declared[name] = given
        assigned = {
            each.id
            for each in ast.walk(self.source)
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        } | {
            each.name
            for each in ast.walk(self.source)
            if isinstance(each, ast.MatchAs) and each.name
        }
        self.variables = dict.fromkeys(sorted(assigned - set(self.arrays))) | self.declared
        if not self.is_result_declared:
            self.variables[_RESULT] = None
        for _ in range(limits.PYTHON_INFERENCE_PASSES_MAX):
            self._check_once()
            if not self.infer():
                break
        if not self.is_result_declared:
            self.result = self.variables.pop(_RESULT)
        body = self._check_once()
        if self.result is not None and self.assigned is not None:
            self.error(
                self.source.body[-1],
                "the function can end here without a value",
                f"return {'an' if str(self.result)[0] == 'i' else 'a'} {self.result} here too",
            )
        for name, kind in self.variables.items():
            if kind is None and not self.diagnostics:
                self.error(
                    self.source, f"the type of {name} is not known", f"write {name}: i64 = 0"
                )
        return body

    def _check_once(self) -> tuple[tree.Stmt, ...]:
        self.diagnostics.clear()
        self.found = {}
        self.temporary_count = 0
        self.assigned = {name for name in self.variables if name in self._parameter_names}
        return self.block(self.source.body)

    @property
    def _parameter_names(self) -> set[str]:
        return {each.arg for each in self.source.args.args}

    # -- statements ------------------------------------------------------------------------------------------------------

    def block(self, nodes: Sequence[ast.stmt]) -> tuple[tree.Stmt, ...]:
        """Check statements in order."""
        return tuple(stmt for node in nodes for stmt in self.statement(node))

    def statement(self, node: ast.stmt) -> list[tree.Stmt]:
        """Check one statement; what it is in the typed tree."""
        if type(node) not in syntax.STATEMENTS:
            self.unsupported(node)
            return []
        check: Callable[[ast.stmt], list[tree.Stmt]] = getattr(
            self, f"_{type(node).__name__.lower()}"
        )
        return check(node)

    def _if(self, node: ast.If) -> list[tree.Stmt]:
        condition = self.condition(node.test)
        before = self._copy()
        then = self.block(node.body)
        after_then, self.assigned = self.assigned, before
        otherwise = self.block(node.orelse)
        self.assigned = _both(after_then, self.assigned)
        if condition is None:
            return []
        return [tree.If(condition=condition, then=then, otherwise=otherwise)]

    def _while(self, node: ast.While) -> list[tree.Stmt]:
        condition = self.condition(node.test)
        is_endless = isinstance(condition, tree.Const) and bool(condition.value)
        body, otherwise = self._loop(node, lambda: None, is_endless=is_endless)
        if condition is None:
            return []
        return [tree.While(condition=condition, body=body, otherwise=otherwise)]

    def _loop(
        self, node: ast.While | ast.For, begin: Callable[[], None], *, is_endless: bool = False
    ) -> tuple[tuple[tree.Stmt, ...], tuple[tree.Stmt, ...]]:
        """The body and the else of a loop; afterwards, what is assigned however it ended."""
        before = self._copy()
        self.breaks.append(None)
        begin()
        body = self.block(node.body)
        at_breaks = self.breaks.pop()
        self.assigned = None if is_endless else before
        otherwise = self.block(node.orelse)
        self.assigned = _both(self.assigned, at_breaks)
        return body, otherwise

    def _for(self, node: ast.For) -> list[tree.Stmt]:
        arguments = self._range(node)
        kind = None if arguments is None else self.meet(node.iter, arguments, "range")
        if not isinstance(node.target, ast.Name):
            self.unsupported(node.target)
            return []
        name = node.target.id
        if name in self.arrays:
            self.error(node.target, f"{name} is an array", "use another variable")
            return []
        if arguments is not None:
            for value in arguments:
                self._note(name, value)
        known = self.variables[name]
        if known is not None and kind is not None:
            kind = known if common(kind, known) == known or self._are_literals(arguments) else kind
            if kind != known:
                self.error(
                    node.target,
                    f"{name} is {known}, and the range is of {kind}",
                    "use another variable",
                )
        body, otherwise = self._loop(node, lambda: self._mark(name))
        if arguments is None or kind is None or known is None:
            return []
        if not self.wants(node.iter, kind, "i", "range"):
            return []
        nodes = _range_nodes(node.iter)
        settled = [
            self.settle(each, value, kind)
            if each is not None
            else tree.Const(type=kind, value=default)
            for each, value, default in zip(nodes, arguments, (0, 0, 1), strict=True)
        ]
        if None in settled:
            return []
        start, stop, step = (each for each in settled if each is not None)
        variable = tree.Variable(name=name, type=kind)
        return [
            tree.ForRange(
                variable=variable,
                start=start,
                stop=stop,
                step=step,
                body=body,
                otherwise=otherwise,
                place=tree.place_of(node),
            )
        ]

    def _mark(self, name: str) -> None:
        if self.assigned is not None:
            self.assigned.add(name)

    @staticmethod
    def _are_literals(values: Sequence[Checked] | None) -> bool:
        return values is not None and all(isinstance(each, Literal) for each in values)

    def _range(self, node: ast.For) -> tuple[Checked, Checked, Checked] | None:
        """Start, stop and step."""
        call = node.iter
        if not (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and self.resolve(call.func) is range
        ):
            self.error(call, "a for loop is over range(...)", "write for i in range(n)")
            return None
        if call.keywords or not 1 <= len(call.args) <= 3:
            self.error(call, "range takes one to three numbers")
            return None
        values = [self.expression(each) for each in call.args]
        if len(values) == 1:
            return Literal(0), values[0], Literal(1)
        step = values[2] if len(values) == 3 else Literal(1)
        if isinstance(step, Literal) and step.value == 0:
            self.error(call.args[2], "the step of a range is not zero")
            return None
        return values[0], values[1], step

    def _break(self, _node: ast.Break) -> list[tree.Stmt]:
        self.breaks[-1] = _both(self.breaks[-1], self.assigned)
        self.assigned = None
        return [tree.Break()]

    def _continue(self, _node: ast.Continue) -> list[tree.Stmt]:
        self.assigned = None
        return [tree.Continue()]

    def _return(self, node: ast.Return) -> list[tree.Stmt]:
        value = None if node.value is None else self._returned(node, node.value)
        if node.value is None and self.result is not None:
            self.error(node, f"a value is returned elsewhere: {self.result}", "return one here too")
        self.assigned = None
        return [tree.Return(value=value)]

    def _returned(self, node: ast.Return, value_node: ast.expr) -> tree.Expr | None:
        if (
            isinstance(value_node, ast.Constant)
            and value_node.value is None
            and self.result is None
        ):
            return None
        value = self.expression(value_node, self.result)
        if not self.is_result_declared:
            self._note(_RESULT, value)
            self.result = self.variables.get(_RESULT, self.result)
            if self.result is None:
                return None
        if self.result is None:
            self.error(
                node,
                "the function is declared to return None",
                "write -> and the type behind its parameters",
            )
            return None
        return self._settle_for("the result", value_node, value, self.result)

    def _raise(self, node: ast.Raise) -> list[tree.Stmt]:
        self.assigned = None
        call = node.exc
        name_node = call.func if isinstance(call, ast.Call) else call
        advice = (
            "raise is for a built-in exception with a constant text",
            'write raise ValueError("text")',
        )
        if node.cause is not None or not isinstance(name_node, ast.Name):
            self.error(node, *advice)
            return []
        kind = self.resolve(name_node)
        arguments = call.args if isinstance(call, ast.Call) else []
        text = self._text(arguments[0]) if len(arguments) == 1 else ""
        if len(arguments) > 1 or text is None or not _is_simple_exception(kind):
            self.error(node, *advice)
            return []
        return [tree.Raise(exception=name_node.id, message=text, place=tree.place_of(node))]

    @staticmethod
    def _text(node: ast.expr) -> str | None:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        return node.value if is_text else None  # type: ignore[attr-defined]  # is_text says it

    def _assert(self, node: ast.Assert) -> list[tree.Stmt]:
        condition = self.condition(node.test)
        text = "" if node.msg is None else self._text(node.msg)
        if text is None:
            self.error(node, "the text of an assertion is constant", 'write assert x > 0, "text"')
        if condition is None or text is None:
            return []
        failure = tree.Raise(exception="AssertionError", message=text, place=tree.place_of(node))
        return [tree.If(condition=condition, then=(), otherwise=(failure,))]

    def _expr(self, node: ast.Expr) -> list[tree.Stmt]:
        if isinstance(node.value, ast.Constant) and (
            isinstance(node.value.value, str) or node.value.value is ...
        ):
            return []
        value = self.expression(node.value)
        if value is None or isinstance(value, Literal):
            return []
        return [tree.Evaluate(value=value)]

    @staticmethod
    def _pass(_node: ast.Pass) -> list[tree.Stmt]:
        return []

    # -- match -----------------------------------------------------------------------------------------------------------

    def _match(self, node: ast.Match) -> list[tree.Stmt]:
        """One `if` a case; the subject is computed once."""
        subject = self.expression(node.subject)
        if isinstance(subject, Literal):
            subject = self.settle(
                node.subject, subject, F64 if isinstance(subject.value, float) else I64
            )
        if subject is None or subject.type is None:
            return []
        variable = self.temporary(subject.type)
        stmts: list[tree.Stmt] = [tree.Assign(variable=variable, value=subject)]
        after: set[str] | None = None
        cases: list[tuple[list[tree.Stmt], tree.Expr | None, tuple[tree.Stmt, ...]]] = []
        for case in node.cases:
            before = self._copy()
            captured, condition = self._case(case, tree.Get(variable=variable))
            body = self.block(case.body)
            cases.append((captured, condition, body))
            after = _both(after, self.assigned)
            self.assigned = before if condition is not None else None
        self.assigned = _both(after, self.assigned)
        rest: tuple[tree.Stmt, ...] = ()
        for captured, condition, body in reversed(cases):
            chosen = (
                body
                if condition is None
                else (tree.If(condition=condition, then=body, otherwise=rest),)
            )
            rest = (*captured, *chosen)
        return [*stmts, *rest]

    def _case(
        self, case: ast.match_case, subject: tree.Get
    ) -> tuple[list[tree.Stmt], tree.Expr | None]:
        """What a case assigns, and when it is taken; None: always."""
        captured: list[tree.Stmt] = []
        condition: tree.Expr | None = None
        match case.pattern:
            case ast.MatchAs(pattern=None, name=None):
                pass
            case ast.MatchAs(pattern=None, name=str() as name):
                target = ast.copy_location(ast.Name(id=name, ctx=ast.Store()), case.pattern)
                captured = self._store(target, target, subject)
            case _:
                condition = self._pattern(case.pattern, subject)
        if case.guard is None:
            return captured, condition
        no = tree.Const(type=BOOL, value=False)
        guard = self.condition(case.guard) or no
        if condition is None:
            return captured, guard
        return captured, tree.Conditional(condition=condition, then=guard, otherwise=no, type=BOOL)

    def _pattern(self, pattern: ast.pattern, subject: tree.Get) -> tree.Expr:
        no = tree.Const(type=BOOL, value=False)
        found: tree.Expr = no
        match pattern:
            case ast.MatchValue():
                value = self.value(pattern.value, subject.type)
                if value is None:
                    return no
                return tree.Comparison(name="eq", left=subject, right=value)
            case ast.MatchSingleton(value=bool()) if subject.type is BOOL:
                singleton = tree.Const(type=BOOL, value=bool(pattern.value))
                return tree.Comparison(name="eq", left=subject, right=singleton)
            case ast.MatchOr():
                for each in reversed(pattern.patterns):
                    condition = self._pattern(each, subject)
                    yes = tree.Const(type=BOOL, value=True)
                    found = tree.Conditional(
                        condition=condition, then=yes, otherwise=found, type=BOOL
                    )
                return found
        self.error(pattern, "this pattern is not supported", "write constants, |, _ or a name")
        return no

    def _copy(self) -> set[str] | None:
        return None if self.assigned is None else set(self.assigned)


def _is_simple_exception(kind: object) -> bool:
    """Whether it is a built-in exception that is made of one text, or of nothing."""
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return False
    is_decoding = issubclass(kind, UnicodeError) or issubclass(kind, BaseExceptionGroup)
    return vars(builtins).get(kind.__name__) is kind and not is_decoding


def _both(first: set[str] | None, second: set[str] | None) -> set[str] | None:
    """What is assigned where two ways meet."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def _range_nodes(call: ast.expr) -> tuple[ast.expr | None, ast.expr, ast.expr | None]:
    """The nodes of start, stop and step; None for what is left out."""
    assert isinstance(call, ast.Call)  # noqa: S101  (_range has looked)
    match call.args:
        case [stop]:
            return None, stop, None
        case [start, stop]:
            return start, stop, None
    return call.args[0], call.args[1], call.args[2]
