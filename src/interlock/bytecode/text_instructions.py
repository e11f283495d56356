"""Instructions of the text format: plain and folded, without recursion, into a `Body`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.bytecode.module import BlockType, Body, Immediate, MemArg
from interlock.bytecode.opcodes import BY_NAME, VALIDATED_FEATURES, Feature, Imm, Opcode, code_of
from interlock.bytecode.text_numbers import F32, F64, NumberError, parse_integer, parse_unsigned
from interlock.bytecode.types import ValType

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.bytecode.text_lexer import Cursor
    from interlock.bytecode.text_scope import Scope

_END: Final = code_of("end")
_ELSE: Final = code_of("else")
_IF: Final = code_of("if")
_BLOCKS: Final = {name: code_of(name) for name in ("block", "loop", "if")}
_SELECT: Final = BY_NAME["select"]
_SELECT_T: Final = BY_NAME["select t"]
_SPACED: Final = frozenset(name for name in BY_NAME if " " in name)  # names which are no keywords


class _Open(enum.Enum):
    """What waits for its end."""

    BLOCK = "an unfolded block or loop"
    IF = "an unfolded if"
    ELSE = "the else part of an unfolded if"
    FOLDED_BLOCK = "(block …)"
    FOLDED_IF = "(if …) before its (then"
    FOLDED_THEN = "(then …)"
    FOLDED_AFTER_THEN = "(if …) behind its (then …)"
    FOLDED_ELSE = "(else …)"
    FOLDED_AFTER_ELSE = "(if …) behind its (else …)"
    FOLDED_PLAIN = "(op …)"


# Where instructions may stand without parentheses.
_SEQUENCES: Final = frozenset(
    {
        *(_Open.BLOCK, _Open.IF, _Open.ELSE, _Open.FOLDED_BLOCK),
        *(_Open.FOLDED_THEN, _Open.FOLDED_ELSE),
    }
)


class _Waiting(NamedTuple):
    kind: _Open
    code: int
    immediate: Immediate
    offset: int
    label: str | None


class InstructionParser:
    """Parses one expression: a body, an initialiser, an offset, an item."""

    def __init__(
        self, cursor: Cursor, scope: Scope, local_ids: dict[str, int] | None = None
    ) -> None:
        self.cursor = cursor
        self.scope = scope
        self.local_ids = local_ids if local_ids is not None else {}
        self.labels: list[str | None] = []
        self.waiting: list[_Waiting] = []
        self.codes: list[int] = []
        self.immediates: list[Immediate] = []
        self.offsets: list[int] = []

    def parse_sequence(self) -> Body:
        """Instructions up to the `)` that closes what holds them, which stays."""
        cursor = self.cursor
        while self.waiting or cursor.current != ")":
            self._step()
        return self._finish()

    def parse_folded(self) -> Body:
        """One instruction in parentheses."""
        if self.cursor.current != "(":
            self.cursor.unexpected("an instruction in parentheses")
        self._step()
        while self.waiting:
            self._step()
        return self._finish()

    def _finish(self) -> Body:
        self._emit(_END, None, self.cursor.offset)
        return Body(
            codes=tuple(self.codes),
            immediates=tuple(self.immediates),
            offsets=tuple(self.offsets),
        )

    def _emit(self, code: int, immediate: Immediate, offset: int) -> None:
        self.codes.append(code)
        self.immediates.append(immediate)
        self.offsets.append(offset)

    def _step(self) -> None:
        """Consume one token with what belongs to it."""
        cursor = self.cursor
        word = cursor.current
        if word == "(":
            self._open_list()
        elif word == ")":
            self._close_list()
        elif self.waiting and self.waiting[-1].kind not in _SEQUENCES:
            cursor.unexpected("`(` or `)`")
        elif word in _BLOCKS:
            self._unfolded_block(word)
        elif word == "else":
            self._unfolded_else()
        elif word == "end":
            self._unfolded_end()
        else:
            offset = cursor.offset
            opcode = self._opcode()
            code, immediate = self._immediates(opcode)
            self._emit(code, immediate, offset)

    # -- blocks ---------------------------------------------------------------------------------------------------------

    def _push_label(self, label: str | None) -> None:
        self.scope.check_limit("WASM_NESTING_MAX", len(self.labels) + 1, self.cursor)
        self.labels.append(label)

    def _unfolded_block(self, keyword: str) -> None:
        offset = self.cursor.offset
        self.cursor.pos += 1
        label = self.cursor.accept_id()
        block_type = self._block_type()
        self._emit(_BLOCKS[keyword], block_type, offset)
        self._push_label(label)
        kind = _Open.IF if keyword == "if" else _Open.BLOCK
        self.waiting.append(_Waiting(kind, 0, None, offset, label))

    def _unfolded_else(self) -> None:
        if not self.waiting or self.waiting[-1].kind is not _Open.IF:
            self.cursor.unexpected("an instruction")
        self._emit(_ELSE, None, self.cursor.offset)
        self.cursor.pos += 1
        self._same_label(self.waiting[-1].label)
        self.waiting[-1] = self.waiting[-1]._replace(kind=_Open.ELSE)

    def _unfolded_end(self) -> None:
        if not self.waiting or self.waiting[-1].kind not in {_Open.BLOCK, _Open.IF, _Open.ELSE}:
            self.cursor.unexpected("an instruction")
        self._emit(_END, None, self.cursor.offset)
        self.cursor.pos += 1
        self._same_label(self.waiting.pop().label)
        self.labels.pop()

    def _same_label(self, label: str | None) -> None:
        at = self.cursor.pos
        found = self.cursor.accept_id()
        if found is not None and found != label:
            self.cursor.fail("mismatching label", at)

    # -- parentheses ----------------------------------------------------------------------------------------------------

    def _open_list(self) -> None:
        cursor = self.cursor
        offset = cursor.offset
        keyword = cursor.tokens[cursor.pos + 1]
        top = self.waiting[-1] if self.waiting else None
        if keyword == "then" and top is not None and top.kind is _Open.FOLDED_IF:
            cursor.pos += 2
            self._emit(_IF, top.immediate, top.offset)
            self._push_label(top.label)
            self.waiting[-1] = top._replace(kind=_Open.FOLDED_THEN)
            return
        if keyword == "else" and top is not None and top.kind is _Open.FOLDED_AFTER_THEN:
            self._emit(_ELSE, None, offset)
            cursor.pos += 2
            self.waiting[-1] = top._replace(kind=_Open.FOLDED_ELSE)
            return
        if top is not None and top.kind in {_Open.FOLDED_AFTER_THEN, _Open.FOLDED_AFTER_ELSE}:
            cursor.unexpected("`)`")
        cursor.pos += 1
        if keyword in _BLOCKS:
            cursor.pos += 1
            label = cursor.accept_id()
            block_type = self._block_type()
            if keyword == "if":
                self.waiting.append(_Waiting(_Open.FOLDED_IF, 0, block_type, offset, label))
                return
            self._emit(_BLOCKS[keyword], block_type, offset)
            self._push_label(label)
            self.waiting.append(_Waiting(_Open.FOLDED_BLOCK, 0, None, offset, label))
            return
        if keyword in {"then", "else", "end"}:
            cursor.unexpected("an instruction")
        code, immediate = self._immediates(self._opcode())
        self.waiting.append(_Waiting(_Open.FOLDED_PLAIN, code, immediate, offset, None))

    def _close_list(self) -> None:
        cursor = self.cursor
        if not self.waiting:
            cursor.unexpected("an instruction")
        top = self.waiting[-1]
        match top.kind:
            case _Open.FOLDED_PLAIN:
                self._emit(top.code, top.immediate, top.offset)
                self.waiting.pop()
            case _Open.FOLDED_BLOCK:
                self._emit(_END, None, cursor.offset)
                self.labels.pop()
                self.waiting.pop()
            case _Open.FOLDED_THEN:
                self.waiting[-1] = top._replace(kind=_Open.FOLDED_AFTER_THEN)
            case _Open.FOLDED_ELSE:
                self.waiting[-1] = top._replace(kind=_Open.FOLDED_AFTER_ELSE)
            case _Open.FOLDED_AFTER_THEN | _Open.FOLDED_AFTER_ELSE:
                self._emit(_END, None, cursor.offset)
                self.labels.pop()
                self.waiting.pop()
            case _Open.FOLDED_IF:
                cursor.unexpected("`(then`")
            case _:
                cursor.unexpected("`end`")
        cursor.pos += 1

    # -- immediates -----------------------------------------------------------------------------------------------------

    def _opcode(self) -> Opcode:
        cursor = self.cursor
        opcode = BY_NAME.get(cursor.current)
        if opcode is None or cursor.current in _SPACED:
            if cursor.current[:1] in {"", "(", ")", '"', "$"}:
                cursor.unexpected("an instruction")
            cursor.fail(f"unknown operator {cursor.current}")
        if opcode.feature not in VALIDATED_FEATURES:
            cursor.unsupported(opcode.feature)
        cursor.pos += 1
        return opcode

    def _immediates(self, opcode: Opcode) -> tuple[int, Immediate]:
        kinds = opcode.immediates
        if opcode is _SELECT:
            return self._select()
        if not kinds:
            return opcode.code, None
        if opcode.name == "call_indirect":
            table_index = self.scope.optional_index("table", self.cursor)
            type_index = self.scope.type_use(self.cursor).type_index
            return opcode.code, (type_index, table_index)
        if kinds == (Imm.MEMARG,):
            return opcode.code, self._memarg(opcode.align or 0)
        if len(kinds) == 1:
            return opcode.code, _READERS[kinds[0]](self)
        return opcode.code, self._two_indices(kinds)

    def _two_indices(self, kinds: tuple[Imm, ...]) -> tuple[int, int]:
        """`memory.init`, `table.init` and the copies: an omitted memory or table is 0."""
        cursor, scope = self.cursor, self.scope
        first_space, second_space = kinds[0].value, kinds[1].value
        if first_space == second_space:
            if not scope.at_index(cursor):
                return 0, 0
            return scope.index(first_space, cursor), scope.index(second_space, cursor)
        # In text the memory or table stands before the segment, in binary behind it.
        start = cursor.pos
        cursor.pos += 1
        has_two = scope.at_index(cursor)
        cursor.pos = start
        whole = scope.index(second_space, cursor) if has_two else 0
        return scope.index(first_space, cursor), whole

    def _select(self) -> tuple[int, Immediate]:
        if not self.cursor.at_open("result"):
            return _SELECT.code, None
        types: list[ValType] = []
        while self.cursor.accept_open("result"):
            types.extend(self.scope.val_types(self.cursor))
        return _SELECT_T.code, tuple(types)

    def _block_type(self) -> BlockType:
        cursor = self.cursor
        if not (cursor.at_open("type") or cursor.at_open("param") or cursor.at_open("result")):
            return None
        start = cursor.pos
        if cursor.accept_open("result"):
            types = self.scope.val_types(cursor)
            if len(types) == 1 and not cursor.at_open("result"):
                return types[0]
        cursor.pos = start
        return self.scope.block_type_use(cursor)

    def _memarg(self, natural: int) -> MemArg:
        cursor = self.cursor
        memory_index = self.scope.optional_index("memory", cursor)
        offset, align = 0, natural
        try:
            if cursor.current.startswith("offset="):
                offset = parse_unsigned(cursor.current.removeprefix("offset="), 64)
                cursor.pos += 1
            if cursor.current.startswith("align="):
                size = parse_unsigned(cursor.current.removeprefix("align="), 64)
                if size & (size - 1) or not size:
                    cursor.fail("alignment must be a power of 2")
                align = size.bit_length() - 1
                cursor.pos += 1
        except NumberError as error:
            cursor.fail(error.message)
        return MemArg(align, offset, memory_index)

    def label(self) -> int:
        """A label: how many blocks outwards."""
        at = self.cursor.pos
        name = self.cursor.accept_id()
        if name is None:
            return self.scope.number(self.cursor)
        if name not in self.labels:
            self.cursor.fail(f"unknown label ${name}", at)
        return self.labels[::-1].index(name)

    def label_list(self) -> tuple[int, ...]:
        """One label or more."""
        labels = [self.label()]
        while self.scope.at_index(self.cursor):
            labels.append(self.label())
        self.scope.check_limit("WASM_BR_TABLE_TARGETS_MAX", len(labels) - 1, self.cursor)
        return tuple(labels)

    def local(self) -> int:
        """A local."""
        at = self.cursor.pos
        name = self.cursor.accept_id()
        if name is None:
            return self.scope.number(self.cursor)
        if name not in self.local_ids:
            self.cursor.fail(f"unknown local ${name}", at)
        return self.local_ids[name]

    def number(self, parse: Callable[[str], int]) -> int:
        """A numeric literal."""
        try:
            value = parse(self.cursor.current)
        except NumberError as error:
            self.cursor.fail(error.message)
        self.cursor.pos += 1
        return value

    def heap_type(self) -> ValType:
        """`func` or `extern`."""
        word = self.cursor.next()
        found = {"func": ValType.FUNCREF, "extern": ValType.EXTERNREF}.get(word)
        if found is None:
            self.cursor.pos -= 1
            if self.scope.at_index(self.cursor):
                self.cursor.unsupported(Feature.FUNCTION_REFERENCES)
            if word in _OTHER_HEAP_TYPES:
                self.cursor.unsupported(_OTHER_HEAP_TYPES[word])
            self.cursor.unexpected("a heap type")
        return found


_OTHER_HEAP_TYPES: Final = {
    **dict.fromkeys(
        ("any", "eq", "i31", "struct", "array", "none", "nofunc", "noextern"), Feature.GC
    ),
    **dict.fromkeys(("exn", "noexn"), Feature.EXCEPTION_HANDLING),
}


def _space(kind: Imm) -> Callable[[InstructionParser], Immediate]:
    return lambda parser: parser.scope.index(kind.value, parser.cursor)


def _optional_space(kind: Imm) -> Callable[[InstructionParser], Immediate]:
    return lambda parser: parser.scope.optional_index(kind.value, parser.cursor)


_READERS: Final[dict[Imm, Callable[[InstructionParser], Immediate]]] = {
    Imm.LABEL: InstructionParser.label,
    Imm.LABELS: InstructionParser.label_list,
    Imm.LOCAL: InstructionParser.local,
    Imm.HEAP_TYPE: InstructionParser.heap_type,
    Imm.I32: lambda parser: parser.number(lambda text: parse_integer(text, 32)),
    Imm.I64: lambda parser: parser.number(lambda text: parse_integer(text, 64)),
    Imm.F32: lambda parser: parser.number(F32.parse),
    Imm.F64: lambda parser: parser.number(F64.parse),
    **{kind: _space(kind) for kind in (Imm.FUNC, Imm.GLOBAL, Imm.DATA, Imm.ELEM)},
    **{kind: _optional_space(kind) for kind in (Imm.TABLE, Imm.MEMORY)},
}
