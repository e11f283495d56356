"""Check, variables: assignments, annotations, and the types of what has no annotation.

The types of variables are found by checking the function again and again, silently, until they no longer change: each pass
collects what is assigned to a variable, and its type is the one in which all of that meets.  Literals decide last.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from interlock.typed_python import tree
from interlock.typed_python.calls import CallChecker
from interlock.typed_python.layout import ArrayType, Type
from interlock.typed_python.scalars import F64, I64, Scalar, common
from interlock.typed_python.values import (
    MISSING,
    Checked,
    Literal,
    array_type_of,
    conversion,
    scalar_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.typed_python.machine import Machine
    from interlock.typed_python.source import Definition


class VariableChecker(CallChecker):
    """Variables of one function."""

    def __init__(self, definition: Definition, machine: Machine) -> None:
        super().__init__(definition, machine)
        self.declared: dict[str, Scalar] = {}
        self.found: dict[str, list[Scalar | Literal]] = {}  # what this pass assigns

    def infer(self) -> bool:
        """Give variables the types that a pass has found; whether any has changed."""
        met = {
            name: _meet_all(self.found.get(name, ()))
            for name in self.variables
            if name not in self.declared
        }
        changed = {
            name: kind for name, kind in met.items() if kind not in {None, self.variables[name]}
        }
        if not changed:  # now literals decide
            changed = {
                name: _of_literals(self.found.get(name, ()))
                for name, kind in self.variables.items()
                if kind is None and self.found.get(name)
            }
        self.variables |= changed
        return bool(changed)

    # -- assignments -----------------------------------------------------------------------------------------------------

    def _assign(self, node: ast.Assign) -> list[tree.Stmt]:
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Tuple):
            return self._assign_several(node, node.targets[0])
        first = node.targets[0]
        known = self.variables.get(first.id) if isinstance(first, ast.Name) else None
        value = self.expression(node.value, known)
        stmts: list[tree.Stmt] = []
        for target in node.targets:
            if stmts and isinstance(stmts[0], tree.Assign) and not isinstance(value, Literal):
                value = tree.Get(variable=stmts[0].variable)
            stmts += self._store(target, node.value, value)
        kinds = {each.variable.type for each in stmts if isinstance(each, tree.Assign)}
        if len(kinds) > 1:
            self.error(
                node, "these variables have different types", "write one assignment for each"
            )
        return stmts

    def _assign_several(self, node: ast.Assign, target: ast.Tuple) -> list[tree.Stmt]:
        """`a, b = b, a`: all values first."""
        if not isinstance(node.value, ast.Tuple) or len(node.value.elts) != len(target.elts):
            self.error(node, "as many values as variables are needed", "write a, b = b, a")
            return []
        stmts: list[tree.Stmt] = []
        values: list[Checked] = []
        for each in node.value.elts:
            value = self.expression(each)
            if value is not None and not isinstance(value, Literal) and value.type is not None:
                variable = self.temporary(value.type)
                stmts.append(tree.Assign(variable=variable, value=value))
                value = tree.Get(variable=variable)
            values.append(value)
        for name, each, value in zip(target.elts, node.value.elts, values, strict=True):
            stmts += self._store(name, each, value)
        return stmts

    def _store(self, target: ast.expr, node: ast.expr, value: Checked) -> list[tree.Stmt]:
        if isinstance(target, ast.Subscript) or (
            isinstance(target, ast.Attribute) and self.is_computed(target)
        ):
            return self.store(target, node, value)
        if not isinstance(target, ast.Name):
            self.unsupported(target)
            return []
        if target.id in self.arrays:
            self.error(
                target,
                f"{target.id} is an array, and cannot be assigned to",
                "write an index behind it",
            )
            return []
        self._note(target.id, value)
        if self.assigned is not None:
            self.assigned.add(target.id)
        kind = self.variables[target.id]
        settled = None if kind is None else self._settle_for(target.id, node, value, kind)
        if kind is None or settled is None:
            return []
        return [tree.Assign(variable=tree.Variable(name=target.id, type=kind), value=settled)]

    def _settle_for(
        self, name: str, node: ast.expr, value: Checked, kind: Scalar
    ) -> tree.Expr | None:
        if value is not None and not isinstance(value, Literal) and value.type not in {None, kind}:
            assert value.type is not None  # noqa: S101  (for the type checker: not in the set)
            if common(value.type, kind) != kind:
                self.error(
                    node,
                    f"{name} is {kind}, and this is {value.type}",
                    conversion(kind),
                )
                return None
        return self.settle(node, value, kind)

    def _note(self, name: str, value: Checked) -> None:
        """Remember what a variable gets."""
        if isinstance(value, Literal):
            self.found.setdefault(name, []).append(value)
        elif value is not None and value.type is not None:
            self.found.setdefault(name, []).append(value.type)

    def _annassign(self, node: ast.AnnAssign) -> list[tree.Stmt]:
        if not isinstance(node.target, ast.Name):
            self.unsupported(node.target)
            return []
        kind = self.annotation(node.annotation)
        if isinstance(kind, ArrayType):
            self.error(node, "arrays are parameters, not variables")
        if not isinstance(kind, Scalar):
            return []
        name = node.target.id
        if self.declared.setdefault(name, kind) != kind:
            self.error(node, f"{name} is {self.declared[name]} already")
            return []
        self.variables[name] = kind
        if node.value is None:
            return []
        return self._store(node.target, node.value, self.expression(node.value, kind))

    def type_value(self, node: ast.expr) -> object:
        """What an expression of names and brackets means: `Pointer[Node]`, `Callable[[f64], None]`; `MISSING` after an error."""
        match node:
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=str() as text):
                return self.type_value(_parsed(node, text))
            case ast.List():
                return [self.type_value(each) for each in node.elts]
            case ast.Name() | ast.Attribute():
                return self.resolve(node)
            case ast.Subscript(value=ast.Name() | ast.Attribute()):
                owner, parts = self.resolve(node.value), node.slice
                of = (
                    tuple(map(self.type_value, parts.elts))
                    if isinstance(parts, ast.Tuple)
                    else self.type_value(parts)
                )
                if MISSING in (owner, of):
                    return MISSING
                try:
                    return owner[of]  # type: ignore[index]  # the error says so
                except TypeError:
                    return None
        return None

    def annotation(self, node: ast.expr) -> Type | None:
        """The type that an annotation names."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = _parsed(node, node.value)
        value = self.type_value(node)
        found: Type | None = scalar_of(value) or array_type_of(value)
        if found is None and value is not MISSING:
            self.error(
                node,
                f"{ast.unparse(node)} is not a type of typed Python",
                "write i32, u32, i64, u64, f32, f64 or Array[f64] of interlock.types, or bool",
            )
        return found

    def _augassign(self, node: ast.AugAssign) -> list[tree.Stmt]:
        if isinstance(node.target, ast.Subscript | ast.Attribute):
            return self._augmented_element(node, node.target)
        if node.target.id in self.arrays:
            self.error(node, f"{node.target.id} is an array", "write a loop over its elements")
            return []
        read = ast.copy_location(ast.Name(id=node.target.id, ctx=ast.Load()), node.target)
        value = self.binary(node, read, node.op, node.value)
        kind = self.variables[node.target.id]
        self._note(node.target.id, value)
        if value is None or kind is None:
            return []
        if not isinstance(value, Literal) and value.type != kind:
            self.error(
                node,
                f"{node.target.id} is {kind}, and this is {value.type}",
                f"convert the other operand with {kind}(...)",
            )
            return []
        settled = self.settle(read, value, kind)
        variable = tree.Variable(name=node.target.id, type=kind)
        return [] if settled is None else [tree.Assign(variable=variable, value=settled)]

    def _augmented_element(
        self, node: ast.AugAssign, target: ast.Subscript | ast.Attribute
    ) -> list[tree.Stmt]:
        """`a[i] += x`: the place is found once, then read, and written at the end."""
        found = self.place_once(target)
        if found is None:
            return []
        before, read = found
        element = read.element
        value = self.binary_of(node, (target, read), node.op, node.value)
        if isinstance(value, Literal) or value is None:
            return []
        if element.is_narrow and value.type is not None and value.type != element.scalar:
            self.error(
                node,
                f"this is {value.type}, and goes into {element}",
                "convert the other operand with i32(...)",
            )
            return []
        return before + self.store_in(target, read.access, target, value)


def _parsed(node: ast.expr, text: str) -> ast.expr:
    """What is written in quotes, which is the node itself if that is no expression."""
    try:
        written = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ast.copy_location(ast.Constant(value=...), node)
    for each in ast.walk(written):
        ast.copy_location(each, node)
    return written


def _meet_all(found: Sequence[Scalar | Literal]) -> Scalar | None:
    """The type for all that is assigned; None when literals alone decide."""
    met: Scalar | None = None
    for each in found:
        if isinstance(each, Scalar):
            met = each if met is None else common(met, each) or met
    is_float = any(isinstance(each, Literal) and isinstance(each.value, float) for each in found)
    if met is not None and is_float and not met.is_float:
        return common(met, F64) or F64
    return met


def _of_literals(found: Sequence[Scalar | Literal]) -> Scalar:
    is_float = any(isinstance(each, Literal) and isinstance(each.value, float) for each in found)
    return F64 if is_float else I64
