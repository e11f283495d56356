"""The signature of a Mach-O file: entitlements (XML and DER) and whether the Hardened Runtime is on.

Reads the blobs of LC_CODE_SIGNATURE and checks no signature: who signed does not matter to the contract.
All numbers of the blobs are big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass

from interlock import limits
from interlock.contract.entitlements import Entitlements, parse_plist
from interlock.contract.entitlements_der import parse_der
from interlock.contract.macho_file import Slice, architecture, load_commands, slices

_LC_CODE_SIGNATURE = 0x1D

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


def read_signatures(data: bytes, *, file: str = "") -> tuple[Signature | None, ...]:
    """One signature for each architecture of the file, None where there is none.

    Raises `EntitlementsError` with the offset for what is malformed or no 64-bit Mach-O, and `LimitExceededError`.
    """
    return tuple(map(_read_thin, slices(data, file=file)))


def _read_thin(macho: Slice) -> Signature | None:
    name = architecture(macho)
    for command, bytes_ in load_commands(macho):
        if command == _LC_CODE_SIGNATURE:
            start, length = bytes_.unpack("<II", 8, "LC_CODE_SIGNATURE")
            return _read_superblob(macho.part(start, length, "the code signature"), name)
    return None


def _read_superblob(blob: Slice, architecture: str) -> Signature:
    magic, size, count = blob.unpack(">III", 0, "the code signature")
    if magic != _SUPERBLOB:
        raise blob.fail(f"not a code signature (magic {magic:#010x})", 0)
    blob = blob.part(0, size, "the code signature")
    blob.limit("CODE_SIGNATURE_BLOBS_MAX", count, limits.CODE_SIGNATURE_BLOBS_MAX)
    parts: dict[int, Slice] = {}
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
