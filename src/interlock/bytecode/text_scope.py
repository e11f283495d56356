"""Identifiers, indices and types of the text format: what the fields of one module share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from interlock import limits
from interlock.bytecode.opcodes import Feature
from interlock.bytecode.text_numbers import NumberError, parse_unsigned
from interlock.bytecode.types import FuncType, Limits, ValType
from interlock.errors import LimitExceededError

if TYPE_CHECKING:
    from interlock.bytecode.text_lexer import Cursor

SPACES: Final = ("type", "func", "table", "memory", "global", "elem", "data")
_VAL_TYPES: Final = {str(kind): kind for kind in ValType}
_REF_TYPES: Final = {str(kind): kind for kind in ValType if kind.is_ref}
_HEAP_TYPES: Final = {"func": ValType.FUNCREF, "extern": ValType.EXTERNREF}
_OTHER_TYPES: Final = {
    **dict.fromkeys(
        (
            *("anyref", "eqref", "i31ref", "structref", "arrayref"),
            *("nullref", "nullfuncref", "nullexternref"),
        ),
        Feature.GC,
    ),
    **dict.fromkeys(("exnref", "nullexnref"), Feature.EXCEPTION_HANDLING),
}


class TypeUse(NamedTuple):
    """A resolved type use: the index, the type if the index is known, and the identifiers of parameters."""

    type_index: int
    type: FuncType
    param_ids: dict[str, int]


class Scope:
    """Index spaces by name, and the types, to which type uses add."""

    def __init__(self) -> None:
        self.ids: dict[str, dict[str, int]] = {space: {} for space in SPACES}
        self.counts = dict.fromkeys(SPACES, 0)
        self.types: list[FuncType] = []
        self._index_of_type: dict[FuncType, int] = {}

    def declare(self, space: str, name: str | None, cursor: Cursor, pos: int) -> int:
        """Give the next index of a space to a definition."""
        index = self.counts[space]
        self.counts[space] = index + 1
        if name is not None:
            if name in self.ids[space]:
                cursor.fail(f"duplicate {space} ${name}", pos)
            self.ids[space][name] = index
        return index

    def at_index(self, cursor: Cursor) -> bool:
        """Whether an index or an identifier stands at the cursor."""
        first = cursor.current[:1]
        return first == "$" or first.isdigit()

    def number(self, cursor: Cursor) -> int:
        """An index given as a number."""
        try:
            value = parse_unsigned(cursor.current, 32)
        except NumberError:
            cursor.unexpected("an index")
        cursor.pos += 1
        return value

    def index(self, space: str, cursor: Cursor) -> int:
        """An index of a space, by number or name."""
        at = cursor.pos
        name = cursor.accept_id()
        if name is None:
            return self.number(cursor)
        found = self.ids[space].get(name)
        if found is None:
            cursor.fail(f"unknown {_WORDS.get(space, space)} ${name}", at)
        return found

    def optional_index(self, space: str, cursor: Cursor) -> int:
        """An index of a space; 0 when there is none."""
        return self.index(space, cursor) if self.at_index(cursor) else 0

    def check_limit(self, name: str, value: int, cursor: Cursor) -> None:
        """Raise `LimitExceededError` if a value passes the limit of this name."""
        maximum: int = getattr(limits, name)
        if value > maximum:
            span = cursor.lexer.span(cursor.offset)
            raise LimitExceededError(limit=name, value=value, maximum=maximum, span=span)

    # -- types ----------------------------------------------------------------------------------------------------------

    def val_type(self, cursor: Cursor) -> ValType:
        """A value type."""
        found = _VAL_TYPES.get(cursor.current)
        if found is None:
            return self.ref_type(cursor)
        cursor.pos += 1
        return found

    def ref_type(self, cursor: Cursor) -> ValType:
        """A reference type, short or as `(ref null func)`."""
        found = _REF_TYPES.get(cursor.current)
        if found is not None:
            cursor.pos += 1
            return found
        if cursor.current in _OTHER_TYPES:
            cursor.unsupported(_OTHER_TYPES[cursor.current])
        at = cursor.pos
        if not cursor.accept_open("ref"):
            cursor.unexpected("a type")
        found = _HEAP_TYPES.get(cursor.next()) if cursor.accept("null") else None
        if found is None:
            cursor.unsupported(Feature.FUNCTION_REFERENCES, at)
        cursor.expect(")")
        return found

    def val_types(self, cursor: Cursor) -> list[ValType]:
        """Value types up to and with `)`."""
        types = []
        while not cursor.accept(")"):
            types.append(self.val_type(cursor))
        return types

    def signature(self, cursor: Cursor) -> tuple[FuncType, dict[str, int]]:
        """`(param …)* (result …)*`, and the identifiers of parameters."""
        params: list[ValType] = []
        results: list[ValType] = []
        ids: dict[str, int] = {}
        while cursor.accept_open("param"):
            at = cursor.pos
            name = cursor.accept_id()
            if name is None:
                params.extend(self.val_types(cursor))
                continue
            if name in ids:
                cursor.fail(f"duplicate local ${name}", at)
            ids[name] = len(params)
            params.append(self.val_type(cursor))
            cursor.expect(")")
        while cursor.accept_open("result"):
            results.extend(self.val_types(cursor))
        self.check_limit("WASM_PARAMS_MAX", len(params), cursor)
        self.check_limit("WASM_RESULTS_MAX", len(results), cursor)
        return FuncType(tuple(params), tuple(results)), ids

    def define_type(self, func_type: FuncType) -> None:
        """Add a type that the text defines."""
        self._index_of_type.setdefault(func_type, len(self.types))
        self.types.append(func_type)

    def _intern(self, func_type: FuncType) -> int:
        """The index of the first type equal to this one, which is added when there is none."""
        found = self._index_of_type.get(func_type)
        if found is None:
            found = len(self.types)
            self.define_type(func_type)
        return found

    def type_use(self, cursor: Cursor, *, may_name: bool = False) -> TypeUse:
        """`(type …)`, parameters and results, or both, which must agree then."""
        at = cursor.pos
        index = None
        if cursor.accept_open("type"):
            index = self.index("type", cursor)
            cursor.expect(")")
        is_inline = cursor.at_open("param") or cursor.at_open("result")
        signature, ids = self.signature(cursor)
        if ids and not may_name:
            cursor.fail("unexpected token: parameters have no names here", at)
        if index is None:
            return TypeUse(self._intern(signature), signature, ids)
        if index >= len(self.types):
            if is_inline:
                cursor.fail(f"unknown type {index}", at)
            return TypeUse(index, signature, ids)
        if is_inline and self.types[index] != signature:
            cursor.fail("inline function type", at)
        return TypeUse(index, self.types[index], ids)

    def block_type_use(self, cursor: Cursor) -> ValType | int | None:
        """A block type with a type use; without `(type …)` the short forms are taken where they are enough."""
        if cursor.at_open("type"):
            return self.type_use(cursor).type_index
        at = cursor.pos
        signature, ids = self.signature(cursor)
        if ids:
            cursor.fail("unexpected token: parameters have no names here", at)
        if not signature.params and len(signature.results) <= 1:
            return signature.results[0] if signature.results else None
        return self._intern(signature)

    def limits(self, cursor: Cursor) -> Limits:
        """Minimum and, if there is one, maximum."""
        if cursor.current == "i64":
            cursor.unsupported(Feature.MEMORY64)
        cursor.accept("i32")
        minimum = self._size(cursor)
        maximum = self._size(cursor) if cursor.current[:1].isdigit() else None
        return Limits(minimum=minimum, maximum=maximum)

    def _size(self, cursor: Cursor) -> int:
        try:
            value = parse_unsigned(cursor.current, 32)
        except NumberError as error:
            cursor.fail(error.message)
        cursor.pos += 1
        return value


_WORDS: Final = {"func": "function", "elem": "elem segment", "data": "data segment"}
