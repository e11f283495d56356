"""A checked function's own source, run by CPython, with the operations of compiled code in place of Python's operators.

Control flow, evaluation order, comparisons, `match` and names are CPython's; what an operator or a conversion gives is said
by `operations.py` for the types that the checker found.  Lines stay what they are, so that a debugger shows the source.
"""

from __future__ import annotations

import ast
import math
import operator
from functools import partial
from typing import TYPE_CHECKING, Any

from interlock.typed_python import operations
from interlock.typed_python.layout import ArrayType
from interlock.typed_python.scalars import BOOL

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.typed_python import tree
    from interlock.typed_python.check import Annotated, CheckedProgram
    from interlock.typed_python.layout import Type
    from interlock.typed_python.machine import LinearMemory


def reference(
    checked: CheckedProgram, signature: tree.Signature, memory: Callable[[], LinearMemory]
) -> Callable[..., object]:
    """The function as CPython runs it, on a memory; it takes and returns Python's own numbers."""
    functions = _Reference(checked)
    checked.machine.memory = memory
    checked.machine.function = functions.function
    run = functions.function(signature)

    def call(*arguments: object) -> object:
        if len(arguments) != len(signature.params):
            message = (
                f"{signature.name} takes {len(signature.params)} arguments, not {len(arguments)}"
            )
            raise TypeError(message)
        return run(*map(argument, signature.params, arguments))

    return call


def argument(kind: Type, value: object) -> Any:
    """A value from outside as a parameter of this type, with the exceptions of a compiled call; arrays stay what they are."""
    if isinstance(kind, ArrayType):
        return value
    if kind is BOOL:
        if not isinstance(value, bool):
            message = f"bool is wanted, not {type(value).__name__}"
            raise TypeError(message)
        return value
    if kind.is_float:
        # Unlike float(), this takes no text: as a compiled call, what has __float__ or __index__.
        return operations.fit(kind, math.ldexp(value, 0))  # type: ignore[arg-type]  # raises TypeError itself
    return operations.fit(kind, operator.index(value))  # type: ignore[arg-type]  # likewise


class _Reference:
    """The functions of one program, each made once."""

    def __init__(self, checked: CheckedProgram) -> None:
        self._annotated = checked.annotated
        self._made: dict[tree.Signature, Callable[..., operations.Value]] = {}

    def function(self, signature: tree.Signature) -> Callable[..., operations.Value]:
        """A function that takes and gives values of its types."""
        if signature not in self._made:

            def later(*values: operations.Value) -> operations.Value:
                """What a recursion finds before the function itself is there."""
                return self._made[signature](*values)

            self._made[signature] = later
            self._made[signature] = self._make(self._annotated[signature])
        return self._made[signature]

    def _make(self, annotated: Annotated) -> Callable[..., operations.Value]:
        definition = annotated.signature.definition
        rewriter = _Rewriter(annotated, self.function)
        rewritten = rewriter.rewrite(annotated.source)
        assert isinstance(rewritten, ast.stmt)  # noqa: S101  (a definition stays one)
        module = ast.fix_missing_locations(ast.Module(body=[rewritten], type_ignores=[]))
        names = dict(definition.function.__globals__)
        code = definition.function.__code__
        for name in code.co_freevars:
            names[name] = definition.lookup(name)
        names |= rewriter.names
        exec(compile(module, definition.file, "exec", optimize=0), names)  # noqa: S102  (the user's own source)
        made: Callable[..., operations.Value] = names[definition.name]
        return made


class _Rewriter:
    """Makes a tree with calls of the references in the places of operators; the given one stays, since its nodes are keys."""

    def __init__(
        self,
        annotated: Annotated,
        function: Callable[[tree.Signature], Callable[..., operations.Value]],
    ) -> None:
        self._annotated = annotated
        self._function = function
        self.names: dict[str, Callable[..., operations.Value | None]] = {}

    def rewrite(self, node: ast.AST) -> ast.AST:
        """Rewrite a node, and convert its value where the checker does."""
        rewritten = self._rewrite(node)
        kind = self._annotated.conversions.get(node)
        if kind is None or not isinstance(rewritten, ast.expr):
            return rewritten
        return self._call(node, partial(operations.convert, kind), [rewritten])

    def _rewrite(self, node: ast.AST) -> ast.AST:
        found = self._annotated
        callee = found.callees.get(node)
        run = found.operations.get(node) if callee is None else self._function(callee)
        match node:
            case ast.FunctionDef():
                return self._function_def(node)
            case ast.pattern():
                return node  # constants of match are compared by value
            case ast.AnnAssign(value=None):
                return ast.copy_location(ast.Pass(), node)
            case ast.AnnAssign(value=ast.expr() as value):
                return self._assign(node, node.target, self._expr(value))
            case ast.Assign(targets=[target]) if target in found.stores:
                return self._store(node, target, self._expr(node.value))
            case ast.AnnAssign(value=ast.expr() as value) if node.target in found.stores:
                return self._store(node, node.target, self._expr(value))
            case ast.AugAssign() if run is not None and node.target in found.stores:
                return self._augmented(node, run)
            case ast.AugAssign() if run is not None:
                name = ast.Name(id=ast.unparse(node.target), ctx=ast.Load())
                operands = [ast.copy_location(name, node.target), self._expr(node.value)]
                return self._assign(node, node.target, self._call(node, run, operands))
            case ast.Call() if node in found.addresses:
                return self._call(node, found.addresses[node], self._place(node.args[0]))
            case ast.Call() if node in found.references:
                operands = [self._expr(each) for each in (node.func, *node.args)]
                return self._call(node, found.references[node], operands)
            case ast.Name() if node in found.loads:
                return self._call(node, found.loads[node], [])
            case ast.Call() if node in found.loads:
                return self._call(node, found.loads[node], [self._expr(each) for each in node.args])
            case ast.Subscript() | ast.Attribute() if node in found.loads:
                return self._call(node, found.loads[node], self._place(node))
            case ast.BinOp() if run is not None:
                return self._call(node, run, [self._expr(node.left), self._expr(node.right)])
            case ast.UnaryOp() if run is not None:
                return self._call(node, run, [self._expr(node.operand)])
            case ast.Call() if run is not None:
                # The type that wrap and bitcast take is in `run`.
                values = node.args[-1:] if _takes_type(run) else node.args
                return self._call(node, run, [self._expr(each) for each in values])
        fields = {name: self._field(value) for name, value in ast.iter_fields(node)}
        return ast.copy_location(type(node)(**fields), node)

    def _place(self, node: ast.expr) -> list[ast.expr]:
        """An array or a pointer, and indices: fields are known to what is called with them."""
        inner = node
        while isinstance(inner, ast.Attribute):
            inner = inner.value
            if inner in self._annotated.loads:  # a pointer, which is read
                return [self._expr(inner)]
        if not isinstance(inner, ast.Subscript):
            return [self._expr(inner)]
        index = inner.slice
        nodes = index.elts if isinstance(index, ast.Tuple) else [index]
        return [self._expr(inner.value), *map(self._expr, nodes)]

    def _store(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> ast.AST:
        return self._stored(node, target, value, self._place(target))

    def _stored(
        self, node: ast.stmt, target: ast.expr, value: ast.expr, place: list[ast.expr]
    ) -> ast.AST:
        called = self._call(node, self._annotated.stores[target], [value, *place])
        return ast.copy_location(ast.Expr(value=called), node)

    def _augmented(self, node: ast.AugAssign, run: Callable[..., operations.Value]) -> ast.AST:
        """The place is computed once; the block is one for the sake of being one statement."""
        place = self._place(node.target)
        names = [f"$place{at}" for at in range(len(place))]
        held: list[ast.expr] = [
            ast.copy_location(ast.Name(id=name, ctx=ast.Load()), node) for name in names
        ]
        read = self._call(node, self._annotated.loads[node.target], held)
        value = self._call(node, run, [read, self._expr(node.value)])
        assigned = [
            self._assign(node, ast.Name(id=name, ctx=ast.Store()), index)
            for name, index in zip(names, place, strict=True)
        ]
        stored = self._stored(node, node.target, value, held)
        body = [each for each in (*assigned, stored) if isinstance(each, ast.stmt)]
        return ast.copy_location(
            ast.If(test=ast.copy_location(ast.Constant(value=True), node), body=body, orelse=[]),
            node,
        )

    def _field(self, value: object) -> object:
        if isinstance(value, list):
            return [self._field(each) for each in value]
        return self.rewrite(value) if isinstance(value, ast.AST) else value

    def _expr(self, node: ast.expr) -> ast.expr:
        rewritten = self.rewrite(node)
        assert isinstance(rewritten, ast.expr)  # noqa: S101  (an expression stays one)
        return rewritten

    def _function_def(self, node: ast.FunctionDef) -> ast.AST:
        args = ast.arguments(
            posonlyargs=[],
            args=[ast.copy_location(ast.arg(arg=each.arg), each) for each in node.args.args],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        body = [each for each in map(self.rewrite, node.body) if isinstance(each, ast.stmt)]
        made = ast.FunctionDef(name=node.name, args=args, body=body, decorator_list=[])
        return ast.copy_location(made, node)

    @staticmethod
    def _assign(node: ast.stmt, target: ast.expr, value: ast.expr) -> ast.AST:
        return ast.copy_location(ast.Assign(targets=[target], value=value), node)

    def _call(
        self, node: ast.AST, run: Callable[..., operations.Value | None], operands: list[ast.expr]
    ) -> ast.expr:
        """A call of a function under a name that no source has."""
        name = f"${len(self.names)}"
        self.names[name] = run
        called = ast.Name(id=name, ctx=ast.Load())
        return ast.copy_location(ast.Call(func=called, args=operands, keywords=[]), node)


def _takes_type(run: Callable[..., operations.Value]) -> bool:
    function = getattr(run, "func", None)
    return function in {operations.bitcast, operations.REFERENCES["wrap"]}
