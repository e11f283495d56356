"""The text format: from a `Module` to WAT that this package's parser and others read back.

Instructions stand unfolded, one on a line.  Functions and locals keep the names of the name section; what the standard
gives no text for (custom sections) is named in a comment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.bytecode.binary_body import END, OPENERS
from interlock.bytecode.const_expr import instructions
from interlock.bytecode.module import (
    Body,
    ConstExpr,
    Elem,
    Function,
    Immediate,
    Import,
    MemArg,
    Module,
    RefFunc,
)
from interlock.bytecode.name_section import NAME
from interlock.bytecode.opcodes import BY_CODE, Imm, Opcode, code_of
from interlock.bytecode.text_numbers import F32, F64, float_text
from interlock.bytecode.types import (
    ExternKind,
    FuncType,
    MemoryType,
    SegmentMode,
    TableType,
    ValType,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_ELSE: Final = code_of("else")
_INDENT_MAX: Final = (
    40  # deeper nesting is not indented further: the text stays linear in the input
)
_ID_CHARS: Final = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&'*+-./:<=>?@\\^_`|~"
)
_HEAP_NAMES: Final = {
    ValType.FUNCREF: "func",
    ValType.EXTERNREF: "extern",
    -0x0D: "nofunc",
    -0x0E: "noextern",
    -0x0C: "noexn",
    -0x0F: "none",
    -0x12: "any",
    -0x13: "eq",
    -0x14: "i31",
    -0x15: "struct",
    -0x16: "array",
    -0x17: "exn",
}
_CATCHES: Final = ("catch", "catch_ref", "catch_all", "catch_all_ref")


def to_wat(module: Module) -> str:
    """The module as text, in the order of its sections."""
    return _Printer(module).text()


def _identifier(name: str) -> str | None:
    """A name as an identifier of the text format; None when it can not be one."""
    if not name:
        return None
    if _ID_CHARS.issuperset(name):
        return f"${name}"
    return f"${_string(name.encode())}"


def _string(data: bytes) -> str:
    return '"' + "".join(_CHARACTERS[byte] for byte in data) + '"'


_CHARACTERS: Final = [
    chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:02x}"
    for byte in range(0x100)
]


def _unique(names: Mapping[int, str], count: int) -> dict[int, str]:
    """Identifiers for indices; of a name that occurs twice the first index keeps it."""
    taken: set[str] = set()
    out = {}
    for index, name in sorted(names.items()):
        identifier = _identifier(name)
        if index < count and identifier is not None and name not in taken:
            taken.add(name)
            out[index] = identifier
    return out


def _words(keyword: str, kinds: Iterable[ValType]) -> str:
    text = " ".join(map(str, kinds))
    return f" ({keyword} {text})" if text else ""


class _Printer:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.imported = {
            kind: sum(item.kind is kind for item in module.imports) for kind in ExternKind
        }
        functions = self.imported[ExternKind.FUNC] + len(module.functions)
        self.functions = _unique(module.function_names, functions)
        self.locals: dict[int, str] = {}
        self.lines: list[str] = []

    def text(self) -> str:
        module = self.module
        name = _identifier(module.name) if module.name is not None else None
        self.lines.append(f"(module {name}" if name else "(module")
        for index, func_type in enumerate(module.types):
            self._line(f"(type (;{index};) (func{_signature(func_type)}))")
        self._imports()
        first = self.imported[ExternKind.FUNC]
        for index, function in enumerate(module.functions, first):
            self._function(index, function)
        for index, table in enumerate(module.tables, self.imported[ExternKind.TABLE]):
            self._line(f"(table (;{index};) {table})")
        for index, memory in enumerate(module.memories, self.imported[ExternKind.MEMORY]):
            self._line(f"(memory (;{index};) {memory})")
        for index, item in enumerate(module.globals, self.imported[ExternKind.GLOBAL]):
            self._line(f"(global (;{index};) {item.type} {self._expression(item.init)})")
        for export in module.exports:
            target = self._index(export.kind, export.index)
            self._line(f"(export {_string(export.name.encode())} ({export.kind} {target}))")
        if module.start is not None:
            self._line(f"(start {self._index(ExternKind.FUNC, module.start)})")
        self._segments()
        for custom in module.customs:
            if custom.name != NAME:
                quoted = _string(custom.name.encode())
                self._line(f";; custom section {quoted}: {len(custom.data)} bytes")
        self.lines.append(")\n")
        return "\n".join(self.lines)

    def _line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def _index(self, kind: ExternKind, index: int) -> str:
        return self.functions.get(index, str(index)) if kind is ExternKind.FUNC else str(index)

    # -- fields ---------------------------------------------------------------------------------------------------------

    def _imports(self) -> None:
        counts = dict.fromkeys(ExternKind, 0)
        for item in self.module.imports:
            index = counts[item.kind]
            counts[item.kind] += 1
            names = f"{_string(item.module.encode())} {_string(item.name.encode())}"
            self._line(f"(import {names} ({item.kind} {self._import_type(item, index)}))")

    def _import_type(self, item: Import, index: int) -> str:
        match item.desc:
            case TableType() | MemoryType() as desc:
                return f"(;{index};) {desc}"
            case int(type_index):
                name = self.functions.get(index)
                return (
                    f"{name} (;{index};) (type {type_index})"
                    if name
                    else f"(;{index};) (type {type_index})"
                )
            case desc:
                return f"(;{index};) {desc}"

    def _function(self, index: int, function: Function) -> None:
        name = self.functions.get(index)
        head = f"(func {name} (;{index};)" if name else f"(func (;{index};)"
        func_type = FuncType((), ())
        if function.type_index < len(self.module.types):
            func_type = self.module.types[function.type_index]
        count = len(func_type.params) + function.local_count
        self.locals = _unique(self.module.local_names.get(index, {}), count)
        params = self._declarations("param", func_type.params, 0)
        results = _words("result", func_type.results)
        self._line(f"{head} (type {function.type_index}){params}{results}")
        local_types = function.locals
        if local_types:
            self._line(f" {self._declarations('local', local_types, len(func_type.params))}")
        self._body(function.body)
        self.locals = {}

    def _declarations(self, keyword: str, kinds: Sequence[ValType], first: int) -> str:
        """`(param i32 i32) (param $x i32)`: those without a name share a list."""
        parts: list[str] = []
        unnamed: list[str] = []
        for index, kind in enumerate(kinds, first):
            name = self.locals.get(index)
            if name is None:
                unnamed.append(str(kind))
                continue
            if unnamed:
                parts.append(f" ({keyword} {' '.join(unnamed)})")
                unnamed = []
            parts.append(f" ({keyword} {name} {kind})")
        if unnamed:
            parts.append(f" ({keyword} {' '.join(unnamed)})")
        return "".join(parts)

    def _body(self, body: Body) -> None:
        depth = 2
        last = len(body.codes) - 1
        for number, (code, immediate) in enumerate(zip(body.codes, body.immediates, strict=True)):
            if code == END:
                depth -= 1
            if number == last and code == END:
                self.lines[-1] += ")"
                return
            level = depth - 1 if code == _ELSE else depth
            self.lines.append("  " * min(level, _INDENT_MAX) + self._instruction(code, immediate))
            if code in OPENERS:
                depth += 1

    def _expression(self, expression: ConstExpr) -> str:
        """Instructions of an initialiser: folded when it is one."""
        body = instructions(expression)
        pairs = list(zip(body.codes[:-1], body.immediates[:-1], strict=True))
        texts = [self._instruction(code, immediate) for code, immediate in pairs]
        return f"({texts[0]})" if len(texts) == 1 else " ".join(texts)

    def _segments(self) -> None:
        for index, elem in enumerate(self.module.elems):
            self._line(f"(elem (;{index};) {self._elem(elem)})")
        for index, data in enumerate(self.module.datas):
            head = ""
            if data.mode is SegmentMode.ACTIVE:
                memory = f"(memory {data.memory_index}) " if data.memory_index else ""
                head = f"{memory}(offset {self._expression(data.offset)}) "
            self._line(f"(data (;{index};) {head}{_string(data.data)})")

    def _elem(self, elem: Elem) -> str:
        head = "declare " if elem.mode is SegmentMode.DECLARATIVE else ""
        if elem.mode is SegmentMode.ACTIVE:
            table = f"(table {elem.table_index}) " if elem.table_index else ""
            head = f"{table}(offset {self._expression(elem.offset)}) "
        by_index = [item.index for item in elem.items if isinstance(item, RefFunc)]
        if len(by_index) == len(elem.items) and elem.type is ValType.FUNCREF:
            names = [self._index(ExternKind.FUNC, index) for index in by_index]
            return " ".join([f"{head}func", *names])
        items = [f"(item {self._expression(item)})" for item in elem.items]
        return " ".join([f"{head}{elem.type}", *items])

    # -- instructions ---------------------------------------------------------------------------------------------------

    def _instruction(self, code: int, immediate: Immediate) -> str:
        opcode = BY_CODE[code]
        if opcode is None or not opcode.immediates:
            return str(opcode)
        if len(opcode.immediates) > 1:
            return f"{opcode.name.split(' ')[0]}{self._several(opcode, immediate)}"
        kind = opcode.immediates[0]
        if kind is Imm.MEMARG:
            return f"{opcode.name}{_memarg(immediate, opcode)}"
        if kind in {Imm.MEMORY, Imm.TABLE} and immediate == 0:
            return opcode.name
        text = self._immediate(kind, immediate)
        if opcode.prefix == 0xFB and kind is Imm.HEAP_TYPE:
            keyword, _, null = opcode.name.partition(" ")
            return f"{keyword} (ref {f'{null} ' if null else ''}{text})"
        keyword = opcode.name.split(" ")[0]
        return f"{keyword} {text}" if text else keyword

    def _immediate(self, kind: Imm, value: Immediate) -> str:
        match kind:
            case Imm.FUNC:
                return self.functions.get(value, str(value))
            case Imm.LOCAL:
                return self.locals.get(value, str(value))
        write = _WRITERS.get(kind)
        return write(value) if write is not None else str(value)

    def _several(self, opcode: Opcode, values: tuple[Immediate, ...]) -> str:
        match opcode.immediates:
            case (Imm.TYPE, Imm.TABLE):
                table = f" {values[1]}" if values[1] else ""
                return f"{table} (type {values[0]})"
            case (Imm.DATA, Imm.MEMORY) | (Imm.ELEM, Imm.TABLE):
                return f" {values[1]} {values[0]}" if values[1] else f" {values[0]}"
            case (Imm.MEMORY, Imm.MEMORY) | (Imm.TABLE, Imm.TABLE) if values == (0, 0):
                return ""
            case (Imm.MEMARG, Imm.LANE):
                return f"{_memarg(values[0], opcode)} {values[1]}"
            case (Imm.BLOCK_TYPE, Imm.CATCHES):
                return "".join(
                    f" {text}" for text in (_block_type(values[0]), _catches(values[1])) if text
                )
            case (Imm.CAST_FLAGS, *_):
                flags, label, source, target = values
                texts = [
                    f"(ref {'null ' if flags & bit else ''}{_heap_type(kind)})"
                    for bit, kind in ((1, source), (2, target))
                ]
                return f" {label} {' '.join(texts)}"
        return "".join(f" {value}" for value in values)


def _signature(func_type: FuncType) -> str:
    return _words("param", func_type.params) + _words("result", func_type.results)


def _memarg(memarg: MemArg, opcode: Opcode) -> str:
    memory = f" {memarg.memory_index}" if memarg.memory_index else ""
    offset = f" offset={memarg.offset}" if memarg.offset else ""
    align = f" align={1 << memarg.align}" if memarg.align != opcode.align else ""
    return f"{memory}{offset}{align}"


def _block_type(value: ValType | int | None) -> str:
    if value is None:
        return ""
    return f"(result {value})" if isinstance(value, ValType) else f"(type {value})"


def _heap_type(value: ValType | int) -> str:
    return _HEAP_NAMES.get(value, str(value))


def _catches(catches: tuple[tuple[int, int | None, int], ...]) -> str:
    return " ".join(
        f"({' '.join(str(part) for part in (_CATCHES[kind], tag, label) if part is not None)})"
        for kind, tag, label in catches
    )


_WRITERS: Final[dict[Imm, Callable[[Immediate], str]]] = {
    Imm.BLOCK_TYPE: _block_type,
    Imm.LABELS: lambda labels: " ".join(map(str, labels)),
    Imm.F32: lambda bits: float_text(bits, F32),
    Imm.F64: lambda bits: float_text(bits, F64),
    Imm.V128: lambda data: "i8x16 " + " ".join(map(str, data)),
    Imm.LANES: lambda data: " ".join(map(str, data)),
    Imm.VAL_TYPES: lambda kinds: f"(result {' '.join(map(str, kinds))})",
    Imm.HEAP_TYPE: _heap_type,
    Imm.ORDER: lambda _: "",
}
