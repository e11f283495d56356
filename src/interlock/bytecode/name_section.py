"""The name section: read as far as it is well-formed (the standard forbids to refuse a module for it), and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.bytecode.binary_reader import Reader
from interlock.bytecode.leb128 import name_bytes, unsigned
from interlock.bytecode.module import CustomSection
from interlock.errors import InterlockError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME: Final = "name"
_LAST_PLACE: Final = 13  # behind all sections of the standard


@dataclass(slots=True)
class Names:
    """What a name section says."""

    module: str | None = None
    functions: dict[int, str] = field(default_factory=dict)
    locals: dict[int, dict[int, str]] = field(default_factory=dict)


def read_names(customs: Iterable[CustomSection]) -> Names:
    """The names of the first name section; what follows a malformed place in it is ignored."""
    names = Names()
    section = next((custom for custom in customs if custom.name == NAME), None)
    if section is not None:
        try:
            _read(Reader(section.data), names)
        except InterlockError:
            return names
    return names


def _read(reader: Reader, names: Names) -> None:
    while reader.pos < len(reader.data):
        kind = reader.byte()
        size = reader.u32()
        if size > len(reader.data) - reader.pos:
            reader.fail("length out of bounds")
        end = reader.end = reader.pos + size
        if kind == 0:
            names.module = reader.name()
        elif kind == 1:
            _read_map(reader, names.functions)
        elif kind == 2:
            for _ in range(reader.count("WASM_FUNCTIONS_MAX", limits.WASM_FUNCTIONS_MAX)):
                _read_map(reader, names.locals.setdefault(reader.u32(), {}))
        reader.pos = end
        reader.end = len(reader.data)


def _read_map(reader: Reader, names: dict[int, str]) -> None:
    for _ in range(reader.count("WASM_FUNCTIONS_MAX", limits.WASM_FUNCTIONS_MAX)):
        index = reader.u32()
        names[index] = reader.name()


def write_names(
    module: str | None,
    functions: Mapping[int, str],
    local_names: Mapping[int, Mapping[int, str]],
) -> CustomSection | None:
    """The name section for these names; None when there are none."""
    parts = []
    if module is not None:
        parts.append(_subsection(0, name_bytes(module)))
    if functions:
        parts.append(_subsection(1, _map(functions)))
    filled = {index: names for index, names in sorted(local_names.items()) if names}
    if filled:
        body = b"".join(unsigned(index) + _map(names) for index, names in filled.items())
        parts.append(_subsection(2, unsigned(len(filled)) + body))
    if not parts:
        return None
    return CustomSection(name=NAME, data=b"".join(parts), after=_LAST_PLACE)


def _subsection(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + unsigned(len(content)) + content


def _map(names: Mapping[int, str]) -> bytes:
    pairs = sorted(names.items())
    return unsigned(len(pairs)) + b"".join(unsigned(i) + name_bytes(name) for i, name in pairs)
