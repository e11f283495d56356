"""Check, places in memory: elements of arrays, what pointers lead to, fields of structs, and lengths."""

from __future__ import annotations

import ast
from dataclasses import replace
from functools import partial

from interlock.typed_python import operations, tree
from interlock.typed_python.expressions import ExpressionChecker
from interlock.typed_python.layout import Element, PointerType, Record
from interlock.typed_python.scalars import I32, I64, U32, U64
from interlock.typed_python.values import Checked, Literal


class PlaceChecker(ExpressionChecker):
    """Places in memory of one function."""

    def array(self, node: ast.expr) -> tree.Array | None:
        """The array that a name means, if it means one."""
        return self.arrays.get(node.id) if isinstance(node, ast.Name) else None

    def subscript(self, node: ast.Subscript) -> Checked:
        """`a[i]`, `p[i]`, or `a.shape[0]`."""
        owner = node.value
        if isinstance(owner, ast.Attribute) and owner.attr == "shape":
            array = self.array(owner.value)
            if array is not None:
                return self._length_of(node, array)
        return self._load(node, self.place(node))

    def attribute(self, node: ast.Attribute) -> Checked:
        """`a[i].x`, `p.x`."""
        return self._load(node, self.place(node))

    def _load(
        self, node: ast.Subscript | ast.Attribute, access: tree.Access | tree.Deref | None
    ) -> Checked:
        element = None if access is None else self._number(node, access)
        if access is None or element is None:
            return None
        return self._read(node, access, element)

    def _read(
        self, node: ast.expr, access: tree.Access | tree.Deref, element: Element
    ) -> tree.Load:
        if isinstance(access, tree.Deref):
            self.loads[node] = partial(self.machine.load, element, *scale_of(access))
        else:
            self.loads[node] = partial(operations.load, _fields(node))
        return tree.Load(access=access, element=element)

    def _length_of(self, node: ast.Subscript, array: tree.Array) -> Checked:
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(index, int) or not 0 <= index < array.type.dimensions:
            last = array.type.dimensions - 1
            self.error(node, f"a dimension is a constant from 0 to {last}", "write a.shape[0]")
            return None
        return tree.Length(array=array, dimension=index)

    # -- places ----------------------------------------------------------------------------------------------------------

    def place(self, node: ast.expr) -> tree.Access | tree.Deref | None:
        """The place that a subscript or a field means; a whole struct too."""
        if isinstance(node, ast.Subscript):
            array = self.array(node.value)
            return self._pointed(node) if array is None else self._indexed(node, array)
        if not isinstance(node, ast.Attribute):
            self.unsupported(node)
            return None
        owner = self._owner(node)
        if owner is None:
            return None
        record = owner.element
        field = record.field(node.attr) if isinstance(record, Record) else None
        if field is None:
            self.error(node, f"{record} has no field {node.attr}")
            return None
        return replace(
            owner,
            element=field.element,
            offset=owner.offset + field.offset,
            place=tree.place_of(node),
        )

    def _owner(self, node: ast.Attribute) -> tree.Access | tree.Deref | None:
        """The struct that a field is of: a place, or what a pointer leads to."""
        value: Checked
        if isinstance(node.value, ast.Subscript | ast.Attribute):
            place = self.place(node.value)
            is_pointer = place is not None and (
                isinstance(place.element, Element) and isinstance(place.element.scalar, PointerType)
            )
            if not is_pointer:
                return place
            value = self._load(node.value, place)
        else:
            value = self.expression(node.value)
        if value is None:
            return None
        kind = self.type_of(value)
        if not isinstance(kind, PointerType) or isinstance(value, Literal):
            self.error(node, f"{ast.unparse(node.value)} has no attributes")
            return None
        element = self._target(node, kind)
        if element is None:
            return None
        return tree.Deref(pointer=value, element=element, offset=0, place=tree.place_of(node))

    def _target(self, node: ast.expr, kind: PointerType) -> Element | Record | None:
        try:
            return kind.element
        except TypeError as error:
            self.error(node, str(error))
            return None

    def _indexed(self, node: ast.Subscript, array: tree.Array) -> tree.Access | None:
        index = node.slice
        nodes = index.elts if isinstance(index, ast.Tuple) else [index]
        if len(nodes) != array.type.dimensions:
            self.error(
                index,
                f"{array.name} has {array.type.dimensions} dimensions, and this is {len(nodes)}",
            )
            return None
        indices = [self._index(each) for each in nodes]
        if None in indices:
            return None
        return tree.Access(
            array=array,
            indices=tuple(each for each in indices if each is not None),
            element=array.type.element,
            offset=0,
            place=tree.place_of(node),
        )

    def _pointed(self, node: ast.Subscript) -> tree.Deref | None:
        """`p[i]`."""
        pointer = self.expression(node.value)
        if pointer is None:
            return None
        kind = self.type_of(pointer)
        if not isinstance(kind, PointerType) or isinstance(pointer, Literal):
            self.error(node, "only an array can be indexed", "write a: Array[f64] for a parameter")
            return None
        element, index = self._target(node, kind), self._index(node.slice)
        if element is None or index is None:
            return None
        moved = tree.Address(
            pointer=pointer, index=index, scale=element.size_bytes, offset=0, type=kind
        )
        return tree.Deref(pointer=moved, element=element, offset=0, place=tree.place_of(node))

    def _index(self, node: ast.expr) -> tree.Expr | None:
        if isinstance(node, ast.Slice):
            self.unsupported(node)
            return None
        value = self.expression(node)
        if isinstance(value, Literal) and isinstance(value.value, float):
            self.error(node, "an index is an integer")
            return None
        return self.settle(node, value, I64)

    def _number(self, node: ast.expr, access: tree.Access | tree.Deref) -> Element | None:
        """The element at a place, which is no struct."""
        element = access.element
        if isinstance(element, Record):
            names = ", ".join(f".{each.name}" for each in element.fields)
            self.error(
                node, f"this is a {element}, where a number is wanted", f"write one of {names}"
            )
            return None
        return element

    # -- writing ---------------------------------------------------------------------------------------------------------

    def store(self, node: ast.expr, value_node: ast.expr, value: Checked) -> list[tree.Stmt]:
        """`a[i] = value`; the value has been checked."""
        access = self.place(node)
        return [] if access is None else self.store_in(node, access, value_node, value)

    def store_in(
        self,
        node: ast.expr,
        access: tree.Access | tree.Deref,
        value_node: ast.expr,
        value: Checked,
    ) -> list[tree.Stmt]:
        """Write into a place; an integer of any type goes into a narrow element, if it fits."""
        element = self._number(node, access)
        if element is None:
            return []
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
        if isinstance(access, tree.Deref):
            self.stores[node] = partial(self.machine.store, element, *scale_of(access))
        else:
            self.stores[node] = partial(operations.store, element, _fields(node))
        if settled is None:
            return []
        return [tree.Store(access=access, element=element, value=settled)]

    def place_once(self, node: ast.expr) -> tuple[list[tree.Stmt], tree.Load] | None:
        """A number's place, found once, and read, for `a[i] += 1`."""
        access = self.place(node)
        element = None if access is None else self._number(node, access)
        if access is None or element is None:
            return None
        stmts: list[tree.Stmt] = []
        if isinstance(access, tree.Deref):
            pointer = self._held_pointer(access.pointer, stmts)
            return stmts, self._read(node, replace(access, pointer=pointer), element)
        held = tuple(self._held(index, stmts) for index in access.indices)
        return stmts, self._read(node, replace(access, indices=held), element)

    def _held_pointer(self, pointer: tree.Expr, stmts: list[tree.Stmt]) -> tree.Expr:
        """Base and index apart, as the source has them."""
        if not isinstance(pointer, tree.Address) or pointer.index is None:
            return self._held(pointer, stmts)
        base = self._held(pointer.pointer, stmts)
        return replace(pointer, pointer=base, index=self._held(pointer.index, stmts))

    def _held(self, value: tree.Expr, stmts: list[tree.Stmt]) -> tree.Expr:
        assert value.type is not None  # noqa: S101  (the checker settles indices and pointers)
        variable = self.temporary(value.type)
        stmts.append(tree.Assign(variable=variable, value=value))
        return tree.Get(variable=variable)


def scale_of(access: tree.Deref) -> tuple[int, int]:
    """What the reference multiplies an index by, and adds."""
    moved = access.pointer
    return moved.scale if isinstance(moved, tree.Address) else 0, access.offset


def _fields(node: ast.expr) -> tuple[str, ...]:
    """The names behind an element of an array."""
    found: list[str] = []
    while isinstance(node, ast.Attribute):
        found.insert(0, node.attr)
        node = node.value
    return tuple(found)
