"""Check: from the definitions that shall be callable to a typed program with all that they call.

Every error of every function is found before `PythonSubsetError` reports them together.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import limits
from interlock.errors import LimitExceededError, PythonSubsetError
from interlock.typed_python import source, tree
from interlock.typed_python.effects import written_arrays
from interlock.typed_python.layout import ArrayType, CallableType
from interlock.typed_python.machine import Machine
from interlock.typed_python.statements import StatementChecker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock.typed_python.diagnostics import Diagnostic
    from interlock.typed_python.layout import Type
    from interlock.typed_python.operations import Value
    from interlock.typed_python.scalars import Scalar
    from interlock.typed_python.source import Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """What the checker found out about the nodes of a function's syntax tree; `reference.py` runs the source by it."""

    source: ast.FunctionDef
    signature: tree.Signature
    conversions: Mapping[ast.AST, Scalar]
    operations: Mapping[ast.AST, Callable[..., Value]]
    loads: Mapping[ast.AST, Callable[..., Value | None]]
    stores: Mapping[ast.AST, Callable[..., None]]
    addresses: Mapping[ast.AST, Callable[..., Value]]
    references: Mapping[ast.AST, Callable[..., Value]]
    callees: Mapping[ast.AST, tree.Signature]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedProgram:
    """A program without errors, and its sources with their types."""

    program: tree.Program
    annotated: Mapping[tree.Signature, Annotated]
    machine: Machine


def check(
    roots: Sequence[tuple[Definition, Sequence[Type | None]]], *, takes_references: bool = False
) -> CheckedProgram:
    """Check definitions, each for arguments of these types (None: as annotated), and all that they call.

    `takes_references`: who calls them has references to functions, as another export of the same module may give them.
    Raises `PythonSubsetError` with everything that is wrong.
    """
    checker = _ProgramChecker()
    exported = [checker.signature(definition, arguments) for definition, arguments in roots]
    if not takes_references:
        for signature in exported:
            checker.refuse_references(signature)
    checker.finish()
    if checker.diagnostics:
        raise PythonSubsetError(tuple(sorted(checker.diagnostics)))
    program = tree.Program(
        functions=tuple(checker.functions.values()),
        written=written_arrays(tuple(checker.functions.values())),
        exported=tuple(each for each in exported if each is not None),
        referenced=tuple(checker.machine.table),
    )
    return CheckedProgram(program=program, annotated=checker.annotated, machine=checker.machine)


class _ProgramChecker:
    """Checks each function once for each choice of parameter types."""

    def __init__(self) -> None:
        self.diagnostics: dict[Diagnostic, None] = {}
        self.functions: dict[tree.Signature, tree.Function] = {}
        self.machine = Machine()
        self.annotated: dict[tree.Signature, Annotated] = {}
        self._sources: dict[Definition, ast.FunctionDef | None] = {}
        self._known: dict[
            tree.Signature, tree.Signature | None
        ] = {}  # None: its result is being inferred
        self._waiting: list[tuple[tree.Signature, _FunctionChecker]] = []

    def refuse_references(self, found: tree.Signature | None) -> None:
        """Note an error if a function takes or gives what has no meaning outside its program."""
        kinds = () if found is None else (*found.params, found.result)
        node = None if found is None else self._source(found.definition)
        if (
            found is not None
            and node is not None
            and any(isinstance(each, CallableType) for each in kinds)
        ):
            checker = _FunctionChecker(self, found.definition, node)
            checker.error(
                node,
                "a reference to a function has a meaning inside a program only",
                "choose the function by a number, and call it from a function in between",
            )
            self.diagnostics |= checker.diagnostics

    def signature(
        self, definition: Definition, arguments: Sequence[Type | None]
    ) -> tree.Signature | None:
        """A function's signature for arguments of these types; None: an error in it, or one that is not known yet."""
        node = self._source(definition)
        if node is None:
            return None
        checker = _FunctionChecker(self, definition, node)
        params = checker.parameters(arguments)
        if params is None:
            self.diagnostics |= checker.diagnostics
            return None
        wanted = tree.Signature(definition=definition, params=params, result=None)
        if wanted in self._known:
            return self._known[wanted]
        if len(self._known) >= limits.PYTHON_FUNCTIONS_MAX:
            raise LimitExceededError(
                limit="PYTHON_FUNCTIONS_MAX",
                value=len(self._known) + 1,
                maximum=limits.PYTHON_FUNCTIONS_MAX,
            )
        checker.read_result()
        if checker.diagnostics:
            self.diagnostics |= checker.diagnostics
            return None
        wanted = tree.Signature(definition=definition, params=params, result=checker.result)
        if checker.is_result_declared:
            self._known[wanted] = wanted
            self._waiting.append((wanted, checker))
            return wanted
        self._known[wanted] = None
        self._check(wanted, checker)
        found = tree.Signature(definition=definition, params=params, result=checker.result)
        del self._known[wanted]
        self._known[found] = found
        return found

    def _source(self, definition: Definition) -> ast.FunctionDef | None:
        if definition not in self._sources:
            try:
                self._sources[definition] = source.parse(definition)
            except PythonSubsetError as error:
                self.diagnostics |= dict.fromkeys(error.diagnostics)
                self._sources[definition] = None
        return self._sources[definition]

    def finish(self) -> None:
        """Check what has been called and not yet been checked."""
        while self._waiting:
            self._check(*self._waiting.pop(0))

    def _check(self, signature: tree.Signature, checker: _FunctionChecker) -> None:
        body = checker.function(signature.params)
        self.diagnostics |= checker.diagnostics
        found = tree.Signature(
            definition=signature.definition, params=signature.params, result=checker.result
        )
        names = [each.arg for each in checker.source.args.args]
        self.functions[found] = tree.Function(
            signature=found,
            params=tuple(
                tree.Array(name=name, type=kind)
                if isinstance(kind, ArrayType)
                else tree.Variable(name=name, type=kind)
                for name, kind in zip(names, signature.params, strict=True)
            ),
            body=body,
        )
        self.annotated[found] = Annotated(
            source=checker.source,
            signature=found,
            conversions=checker.conversions,
            operations=checker.operations,
            loads=checker.loads,
            stores=checker.stores,
            addresses=checker.addresses,
            references=checker.references,
            callees=checker.callees,
        )


class _FunctionChecker(StatementChecker):
    """A function, and the program that it is part of."""

    def __init__(
        self, program: _ProgramChecker, definition: Definition, node: ast.FunctionDef
    ) -> None:
        super().__init__(definition, program.machine, node)
        self.program = program

    def parameters(self, arguments: Sequence[Type | None]) -> tuple[Type, ...] | None:
        """The types of the parameters: as annotated, or the argument's."""
        args = self.source.args
        extra = [*args.posonlyargs, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        for each in extra:
            self.error(each, f"{each.arg} is no plain parameter", "write plain parameters only")
        for default in (*args.defaults, *filter(None, args.kw_defaults)):
            self.error(default, "default values are not supported", "pass the value in each call")
        found: list[Type | None] = []
        for at, each in enumerate(args.args):
            kind = arguments[at] if at < len(arguments) else None
            if each.annotation is not None:
                kind = self.annotation(each.annotation)
            elif at >= len(arguments):
                self.error(each, f"the type of {each.arg} is not known", f"write {each.arg}: i64")
            found.append(kind)
        if None in found or self.diagnostics:
            return None
        return tuple(each for each in found if each is not None)

    def read_result(self) -> None:
        """The type of the result, if it is annotated."""
        node = self.source.returns
        if node is None:
            return
        self.is_result_declared = True
        if not (isinstance(node, ast.Constant) and node.value is None):
            found = self.annotation(node)
            if isinstance(found, ArrayType):
                self.error(
                    node,
                    "a function cannot return an array",
                    "write into one that the caller makes",
                )
            else:
                self.result = found

    def callee(
        self,
        node: ast.expr | ast.AugAssign,
        definition: Definition,
        arguments: Sequence[Type | None],
    ) -> tree.Signature | None:
        """The callee's signature; one that is being inferred, in a recursion, cannot be asked."""
        found = self.program.signature(definition, arguments)
        if found is None and None not in arguments and not self.program.diagnostics:
            name = definition.name
            self.error(
                node,
                f"the result of {name} is not known here",
                f"write its type: def {name}(...) -> i64",
            )
        return found
