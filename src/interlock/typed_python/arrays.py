"""Check, arrays: elements and fields that are read or written, and lengths."""

from __future__ import annotations

import ast
from functools import partial

from interlock.typed_python import operations, tree
from interlock.typed_python.expressions import ExpressionChecker
from interlock.typed_python.layout import Element, Record
from interlock.typed_python.scalars import I32, I64, U32, U64
from interlock.typed_python.values import Checked, Literal


class ArrayChecker(ExpressionChecker):
    """Arrays of one function."""

    def array(self, node: ast.expr) -> tree.Array | None:
        """The array that a name means, if it means one."""
        return self.arrays.get(node.id) if isinstance(node, ast.Name) else None

    def subscript(self, node: ast.Subscript) -> Checked:
        """`a[i]`, or `a.shape[0]`."""
        owner = node.value
        if isinstance(owner, ast.Attribute) and owner.attr == "shape":
            array = self.array(owner.value)
            if array is not None:
                return self._length_of(node, array)
        return self._load(node, self.access(node))

    def attribute(self, node: ast.Attribute) -> Checked:
        """`p[i].x`; None for what is not an element."""
        return self._load(node, self.access(node))

    def _load(self, node: ast.Subscript | ast.Attribute, access: tree.Access | None) -> Checked:
        if access is None:
            return None
        self.loads[node] = partial(operations.load, getattr(node, "attr", None))
        return tree.Load(access=access)

    def _length_of(self, node: ast.Subscript, array: tree.Array) -> Checked:
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(index, int) or not 0 <= index < array.type.dimensions:
            last = array.type.dimensions - 1
            self.error(node, f"a dimension is a constant from 0 to {last}", "write a.shape[0]")
            return None
        return tree.Length(array=array, dimension=index)

    def access(self, node: ast.expr) -> tree.Access | None:
        """The place in an array that a subscript, or a field of one, means."""
        subscript = node.value if isinstance(node, ast.Attribute) else node
        if not isinstance(subscript, ast.Subscript):
            self.unsupported(node)
            return None
        array = self.array(subscript.value)
        if array is None:
            self.error(
                subscript, "only an array can be indexed", "write a: Array[f64] for a parameter"
            )
            return None
        index = subscript.slice
        nodes = index.elts if isinstance(index, ast.Tuple) else [index]
        if len(nodes) != array.type.dimensions:
            self.error(
                index,
                f"{array.name} has {array.type.dimensions} dimensions, and this is {len(nodes)}",
            )
            return None
        indices = [self._index(each) for each in nodes]
        found = self._element(node, array)
        if found is None or None in indices:
            return None
        return tree.Access(
            array=array,
            indices=tuple(each for each in indices if each is not None),
            element=found[0],
            offset=found[1],
            place=tree.place_of(node),
        )

    def _index(self, node: ast.expr) -> tree.Expr | None:
        if isinstance(node, ast.Slice):
            self.unsupported(node)
            return None
        value = self.expression(node)
        if isinstance(value, Literal) and isinstance(value.value, float):
            self.error(node, "an index is an integer")
            return None
        return self.settle(node, value, I64)

    def _element(self, node: ast.expr, array: tree.Array) -> tuple[Element, int] | None:
        element = array.type.element
        if isinstance(node, ast.Attribute):
            field = element.field(node.attr) if isinstance(element, Record) else None
            if field is None:
                self.error(node, f"{element} has no field {node.attr}")
                return None
            return field.element, field.offset
        if isinstance(element, Record):
            names = ", ".join(f".{each.name}" for each in element.fields)
            self.error(
                node, f"this is a {element}, where a number is wanted", f"write one of {names}"
            )
            return None
        return element, 0

    def store(self, node: ast.expr, value_node: ast.expr, value: Checked) -> list[tree.Stmt]:
        """`a[i] = value`; the value has been checked."""
        access = self.access(node)
        return [] if access is None else self.store_in(node, access, value_node, value)

    def store_in(
        self, node: ast.expr, access: tree.Access, value_node: ast.expr, value: Checked
    ) -> list[tree.Stmt]:
        """Write into a place; an integer of any type goes into a narrow element, if it fits."""
        element = access.element
        settled: tree.Expr | None
        if element.is_narrow and isinstance(value, tree.Expr) and value.type in {U32, I64, U64}:
            settled = self.converted(value_node, value, I32)
        else:
            settled = self.settle(value_node, value, element.scalar)
        if isinstance(settled, tree.Const) and element.is_narrow:
            number = settled.value
            if not element.minimum <= number <= element.maximum:
                self.error(value_node, f"{element} does not hold {number}")
                return []
        self.stores[node] = partial(operations.store, element, getattr(node, "attr", None))
        return [] if settled is None else [tree.Store(access=access, value=settled)]

    def place_once(self, node: ast.expr) -> tuple[list[tree.Stmt], tree.Access] | None:
        """A place whose indices are computed once, for `a[i] += 1`."""
        access = self.access(node)
        if access is None:
            return None
        stmts: list[tree.Stmt] = []
        held: list[tree.Expr] = []
        for index in access.indices:
            variable = self.temporary(I64)
            stmts.append(tree.Assign(variable=variable, value=index))
            held.append(tree.Get(variable=variable))
        once = tree.Access(
            array=access.array,
            indices=tuple(held),
            element=access.element,
            offset=access.offset,
            place=access.place,
        )
        return stmts, once
