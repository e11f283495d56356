"""The modelled dyld: maps a Mach-O library for arm64 into a process, binds its imports to libSystem, and reads its list of callbacks.

It understands what our linker writes: rebasing and binding as opcodes (LC_DYLD_INFO_ONLY), no chained fixups, one library to bind to.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interlock import limits
from interlock.contract.allow_list import LIST_SECTION, Image
from interlock.contract.macho_file import (
    IN_SECTION,
    LC_SEGMENT_64,
    LC_SYMTAB,
    Section,
    Slice,
    architecture,
    fixed_text,
    load_commands,
    sections,
    slices,
    symbols,
)
from interlock.contract.memory_map import Protection
from interlock.errors import LimitExceededError, LinkError, UnsupportedError
from interlock.mac.libsystem import protection_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.mac.kernel import GuestThread, Mac

_LC_DYLD_INFO, _LC_CHAINED_FIXUPS = 0x80000022, 0x80000034
_SG_READ_ONLY = 0x10
_MOD_INIT = 0x9  # S_MOD_INIT_FUNC_POINTERS
_POINTER_BYTES = 8
_OPCODE, _IMMEDIATE = 0xF0, 0x0F


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment: where it lies relative to the image, and what of the file fills it."""

    name: str
    address: int
    size: int
    content: bytes
    protection: Protection
    is_read_only_after_binding: bool


@dataclass(slots=True, kw_only=True)
class MachO:
    """As much of a library as loading it needs; addresses count from its start."""

    segments: list[Segment] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    exports: dict[str, int] = field(default_factory=dict)
    rebases: list[int] = field(default_factory=list)
    binds: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedImage:
    """A library in a process."""

    base: int
    exports: dict[str, int]
    image: Image
    initialisers: tuple[int, ...]


def parse(data: bytes, *, file: str = "") -> MachO:
    """Read the arm64 part of a file.  Raises `EntitlementsError` for what is malformed and `UnsupportedError`."""
    for macho in slices(data, file=file):
        if architecture(macho) == "arm64":
            return _parse_thin(macho)
    raise UnsupportedError(f"{file or 'the library'} has no part for arm64")


def _parse_thin(macho: Slice) -> MachO:
    found, info = MachO(), None
    for number, command in load_commands(macho):
        if number == LC_SEGMENT_64:
            _parse_segment(macho, command, found)
        elif number == LC_SYMTAB:
            found.exports |= {
                each.name: each.value
                for each in symbols(macho, command)
                if each.kind == IN_SECTION and each.is_external
            }
        elif number == _LC_DYLD_INFO:
            info = command.unpack("<10I", 8, "LC_DYLD_INFO_ONLY")
        elif number == _LC_CHAINED_FIXUPS:
            raise UnsupportedError("a Mach-O file with chained fixups on the modelled Mac")
    if info is not None:
        source = macho.part(info[0], info[1], "rebase opcodes")
        found.rebases += _rebases(_Opcodes(source=source, segments=found.segments))
        for offset, size in ((info[2], info[3]), (info[6], info[7])):  # bind, lazy bind
            source = macho.part(offset, size, "bind opcodes")
            found.binds += _binds(_Opcodes(source=source, segments=found.segments))
    return found


def _parse_segment(macho: Slice, command: Slice, found: MachO) -> None:
    name = fixed_text(command, 8)
    row = command.unpack("<QQQQiiII", 24, "a segment")
    address, size, offset, file_size, _, protection, _, flags = row
    content = macho.part(offset, file_size, f"segment {name}").data
    found.segments.append(
        Segment(
            name=name,
            address=address,
            size=size,
            content=content,
            protection=protection_of(protection),
            is_read_only_after_binding=bool(flags & _SG_READ_ONLY),
        )
    )
    found.sections += sections(command)


# ---- Opcodes -------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Opcodes:
    """A stream of opcodes and their operands, and the segments that it talks of."""

    source: Slice
    segments: list[Segment]
    at: int = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while self.at < len(self.source.data):
            byte = self.source.data[self.at]
            self.at += 1
            yield byte & _OPCODE, byte & _IMMEDIATE

    def uleb(self) -> int:
        """An unsigned LEB128 number."""
        value = shift = 0
        while True:
            (byte,) = self.source.unpack("<B", self.at, "a number")
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value & (1 << 64) - 1

    def place(self, segment: int) -> int:
        """The address at an offset, which comes next, of a segment."""
        if segment >= len(self.segments):
            raise self.source.fail(f"there is no segment {segment}", self.at)
        return self.segments[segment].address + self.uleb()

    def pointers(self, at: int, count: int, step: int) -> range:
        """Addresses of so many pointers, which must lie in one segment."""
        for segment in self.segments:
            start, end = segment.address, segment.address + segment.size
            if start <= at and at + (count - 1) * step + _POINTER_BYTES <= end:
                return range(at, at + count * step, step)
        raise self.source.fail(f"pointers at {at:#x} lie in no segment", self.at)

    def text(self) -> str:
        """A string with its NUL."""
        end = self.source.data.find(b"\0", self.at)
        if end < 0:
            raise self.source.fail("a name without an end", self.at)
        found = self.source.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return found


def _rebases(opcodes: _Opcodes) -> Iterator[int]:
    """Addresses of pointers that count from the image's start."""
    at = 0
    for opcode, immediate in opcodes:
        count = skip = 0
        match opcode:
            case 0x00 | 0x10:  # DONE, SET_TYPE_IMM
                continue
            case 0x20:  # SET_SEGMENT_AND_OFFSET_ULEB
                at = opcodes.place(immediate)
            case 0x30:  # ADD_ADDR_ULEB
                at += opcodes.uleb()
            case 0x40:  # ADD_ADDR_IMM_SCALED
                at += immediate * _POINTER_BYTES
            case 0x50:  # DO_REBASE_IMM_TIMES
                count = immediate
            case 0x60:  # DO_REBASE_ULEB_TIMES
                count = opcodes.uleb()
            case 0x70:  # DO_REBASE_ADD_ADDR_ULEB
                count, skip = 1, opcodes.uleb()
            case 0x80:  # DO_REBASE_ULEB_TIMES_SKIPPING_ULEB
                count, skip = opcodes.uleb(), opcodes.uleb()
            case _:
                raise opcodes.source.fail(f"unknown rebase opcode {opcode:#x}", opcodes.at)
        if count:
            step = _POINTER_BYTES + skip
            yield from opcodes.pointers(at, count, step)
            at += count * step


def _binds(opcodes: _Opcodes) -> Iterator[tuple[int, str]]:
    """Addresses of pointers to imports, with the symbol."""
    at, symbol = 0, ""
    for opcode, immediate in opcodes:
        count = skip = 0
        match opcode:
            case (
                0x00 | 0x10 | 0x30 | 0x50
            ):  # DONE, SET_DYLIB_ORDINAL_IMM, .._SPECIAL_IMM, SET_TYPE_IMM
                continue
            case 0x20:  # SET_DYLIB_ORDINAL_ULEB
                opcodes.uleb()
            case 0x40:  # SET_SYMBOL_TRAILING_FLAGS_IMM
                symbol = opcodes.text()
            case 0x70:  # SET_SEGMENT_AND_OFFSET_ULEB
                at = opcodes.place(immediate)
            case 0x80:  # ADD_ADDR_ULEB
                at = (at + opcodes.uleb()) & (1 << 64) - 1
            case 0x90:  # DO_BIND
                count = 1
            case 0xA0:  # DO_BIND_ADD_ADDR_ULEB
                count, skip = 1, opcodes.uleb()
            case 0xB0:  # DO_BIND_ADD_ADDR_IMM_SCALED
                count, skip = 1, immediate * _POINTER_BYTES
            case 0xC0:  # DO_BIND_ULEB_TIMES_SKIPPING_ULEB
                count, skip = opcodes.uleb(), opcodes.uleb()
            case _:
                raise opcodes.source.fail(f"unknown bind opcode {opcode:#x}", opcodes.at)
        if count:
            step = _POINTER_BYTES + skip
            yield from ((each, symbol) for each in opcodes.pointers(at, count, step))
            at = (at + count * step) & (1 << 64) - 1


# ---- Loading -------------------------------------------------------------------------------------------------------------------


def load(mac: Mac, thread: GuestThread, macho: MachO, *, name: str) -> LoadedImage:
    """Map the library, bind it, and make read-only what stays so.  The list of callbacks is in the result, and counts for nothing yet.

    Raises `LinkError` for an import that libSystem does not have.
    """
    model, spaces = thread.process.model, mac.spaces
    size = max((each.address + each.size for each in macho.segments), default=0)
    if size > limits.MACHO_IMAGE_BYTES_MAX:
        raise LimitExceededError(
            limit="MACHO_IMAGE_BYTES_MAX", value=size, maximum=limits.MACHO_IMAGE_BYTES_MAX
        )
    base = model.memory.map.place(size)
    for segment in macho.segments:
        rights = segment.protection | Protection.READ
        spaces.map_image(model, segment.size, protection=rights, at=base + segment.address)
        spaces.write(model, base + segment.address, segment.content)
    for at in macho.rebases:
        pointer = int.from_bytes(spaces.read(model, base + at, _POINTER_BYTES), "little")
        _store(mac, thread, base + at, base + pointer)
    for at, symbol in macho.binds:
        address = thread.process.symbols.get(symbol)
        if address is None:
            raise LinkError(
                symbol=symbol, detail=f"{name} imports it, and the modelled libSystem has none"
            )
        _store(mac, thread, base + at, address)
    for segment in macho.segments:
        start = base + segment.address
        if Protection.EXECUTE in segment.protection:
            spaces.synchronise(model, start, len(segment.content))
        if segment.is_read_only_after_binding:
            entry = model.memory.map.find(start)
            if entry is not None:
                entry.protection = Protection.READ
    return LoadedImage(
        base=base,
        exports={symbol: base + value for symbol, value in macho.exports.items()},
        image=_list_of(mac, thread, macho, base, name),
        initialisers=tuple(
            word
            for section in macho.sections
            if section.kind == _MOD_INIT
            for word in _words(mac, thread, base + section.address, section.size_bytes)
        ),
    )


def _list_of(mac: Mac, thread: GuestThread, macho: MachO, base: int, name: str) -> Image:
    """The section of callbacks as it stands in memory; an image without one has an empty list."""
    for section in macho.sections:
        if str(section) == LIST_SECTION:
            words = _words(mac, thread, base + section.address, section.size_bytes)
            return Image(name=name, words=words, size_bytes=section.size_bytes)
    return Image(name=name)


def _words(mac: Mac, thread: GuestThread, address: int, size: int) -> tuple[int, ...]:
    data = mac.read(thread, address, size)
    return struct.unpack_from(f"<{size // _POINTER_BYTES}Q", data)


def _store(mac: Mac, thread: GuestThread, address: int, value: int) -> None:
    mac.write(thread, address, value.to_bytes(_POINTER_BYTES, "little"))
