"""The signature of a Mach-O file: entitlements (XML and DER) and whether the Hardened Runtime is on.

Reads load commands and the blobs of LC_CODE_SIGNATURE, and checks no signature: who signed does not matter to the contract.
All numbers of the blobs are big-endian, those of the file little-endian (no supported Mac was ever anything else).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from interlock import limits
from interlock.contract.entitlements import Entitlements, parse_plist
from interlock.contract.entitlements_der import parse_der
from interlock.errors import EntitlementsError, LimitExceededError
from interlock.source import Span

_FAT_MAGIC = 0xCAFEBABE
_FAT_MAGIC_64 = 0xCAFEBABF
_MH_MAGIC_64 = 0xFEEDFACF
_LC_CODE_SIGNATURE = 0x1D
_CPU_NAMES = {0x01000007: "x86_64", 0x0100000C: "arm64"}

_SUPERBLOB = 0xFADE0CC0  # CSMAGIC_EMBEDDED_SIGNATURE
_CODE_DIRECTORY = 0xFADE0C02
_XML_ENTITLEMENTS = 0xFADE7171
_DER_ENTITLEMENTS = 0xFADE7172
_SLOT_CODE_DIRECTORY, _SLOT_XML, _SLOT_DER = 0, 5, 7
_MAGIC_OF_SLOT = {
    _SLOT_CODE_DIRECTORY: _CODE_DIRECTORY,
    _SLOT_XML: _XML_ENTITLEMENTS,
    _SLOT_DER: _DER_ENTITLEMENTS,
}
_FLAG_ADHOC = 0x2
_FLAG_RUNTIME = 0x10000  # CS_RUNTIME: the Hardened Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What the contract needs to know of one architecture's signature."""

    architecture: str
    is_hardened: bool
    is_adhoc: bool
    xml: Entitlements | None
    der: Entitlements | None

    @property
    def entitlements(self) -> Entitlements:
        """DER where there is one, as the kernel reads it since macOS 12; else XML; else none."""
        return self.der or self.xml or Entitlements()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """A part of the file, in which offsets count from `base`."""

    data: bytes
    base: int
    file: str

    def fail(self, message: str, at: int) -> EntitlementsError:
        start = self.base + at
        return EntitlementsError(message, span=Span(start=start, end=start + 1, file=self.file))

    def unpack(self, layout: str, at: int, what: str) -> tuple[int, ...]:
        try:
            return struct.unpack_from(layout, self.data, at)
        except struct.error:
            raise self.fail(f"the file ends inside {what}", at) from None

    def part(self, start: int, size: int, what: str) -> _Slice:
        if start + size > len(self.data):
            raise self.fail(f"{what} reaches past the end", start)
        data = self.data[start : start + size]
        return _Slice(data=data, base=self.base + start, file=self.file)

    def limit(self, name: str, value: int, maximum: int) -> None:
        if value > maximum:
            span = Span(start=self.base, end=self.base + len(self.data), file=self.file)
            raise LimitExceededError(limit=name, value=value, maximum=maximum, span=span)


def is_macho(data: bytes) -> bool:
    """Whether the bytes start like a Mach-O file that `read_signatures` reads."""
    head = data[:4]
    return head in {
        struct.pack(">I", _FAT_MAGIC),
        struct.pack(">I", _FAT_MAGIC_64),
        struct.pack("<I", _MH_MAGIC_64),
    }


def read_signatures(data: bytes, *, file: str = "") -> tuple[Signature | None, ...]:
    """One signature for each architecture of the file, None where there is none.

    Raises `EntitlementsError` with the offset for what is malformed or no 64-bit Mach-O, and `LimitExceededError`.
    """
    whole = _Slice(data=data, base=0, file=file)
    whole.limit("MACHO_BYTES_MAX", len(data), limits.MACHO_BYTES_MAX)
    magic, count = whole.unpack(">II", 0, "the header")
    if magic not in {_FAT_MAGIC, _FAT_MAGIC_64}:
        return (_read_thin(whole),)
    whole.limit("MACHO_ARCHITECTURES_MAX", count, limits.MACHO_ARCHITECTURES_MAX)
    layout, size = (">iiQQII", 32) if magic == _FAT_MAGIC_64 else (">iiIII", 20)
    found = []
    for index in range(count):
        row = whole.unpack(layout, 8 + index * size, "the table of architectures")
        found.append(_read_thin(whole.part(row[2], row[3], "an architecture")))
    return tuple(found)


def _read_thin(macho: _Slice) -> Signature | None:
    magic, cpu, _, _, count, _, _, _ = macho.unpack("<IiIIIIII", 0, "the header")
    if magic != _MH_MAGIC_64:
        raise macho.fail(f"not a 64-bit Mach-O file (magic {magic:#010x})", 0)
    macho.limit("MACHO_LOAD_COMMANDS_MAX", count, limits.MACHO_LOAD_COMMANDS_MAX)
    architecture = _CPU_NAMES.get(cpu, f"cpu {cpu:#x}")
    at = 32
    for _ in range(count):
        command, size = macho.unpack("<II", at, "a load command")
        if size < 8:
            raise macho.fail("a load command shorter than its head", at)
        if command == _LC_CODE_SIGNATURE:
            start, length = macho.unpack("<II", at + 8, "LC_CODE_SIGNATURE")
            blob = macho.part(start, length, "the code signature")
            return _read_superblob(blob, architecture)
        at += size
    return None


def _read_superblob(blob: _Slice, architecture: str) -> Signature:
    magic, size, count = blob.unpack(">III", 0, "the code signature")
    if magic != _SUPERBLOB:
        raise blob.fail(f"not a code signature (magic {magic:#010x})", 0)
    blob = blob.part(0, size, "the code signature")
    blob.limit("CODE_SIGNATURE_BLOBS_MAX", count, limits.CODE_SIGNATURE_BLOBS_MAX)
    parts: dict[int, _Slice] = {}
    for index in range(count):
        slot, offset = blob.unpack(">II", 12 + 8 * index, "the table of blobs")
        if slot not in _MAGIC_OF_SLOT:
            continue
        if slot in parts:
            raise blob.fail(f"slot {slot} appears twice", 12 + 8 * index)
        inner, length = blob.unpack(">II", offset, "a blob")
        if inner != _MAGIC_OF_SLOT[slot] or length < 8:
            raise blob.fail(f"slot {slot} holds a blob of magic {inner:#010x}", offset)
        parts[slot] = blob.part(offset, length, "a blob")
    if _SLOT_CODE_DIRECTORY not in parts:
        raise blob.fail("a signature without a code directory", 0)
    (flags,) = parts[_SLOT_CODE_DIRECTORY].unpack(">I", 12, "the code directory")
    xml, der = parts.get(_SLOT_XML), parts.get(_SLOT_DER)
    return Signature(
        architecture=architecture,
        is_hardened=bool(flags & _FLAG_RUNTIME),
        is_adhoc=bool(flags & _FLAG_ADHOC),
        xml=None if xml is None else parse_plist(xml.data[8:], file=xml.file),
        der=None if der is None else parse_der(der.data[8:], base=der.base + 8, file=der.file),
    )
