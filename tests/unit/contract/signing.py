"""Writes what the readers read: entitlements in DER, code signatures, Mach-O files.  Written from the formats' descriptions."""

from __future__ import annotations

import plistlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNTIME = 0x10000
ADHOC = 0x2
ARM64, X86_64 = 0x0100000C, 0x01000007


def plist(values: Mapping[str, object]) -> bytes:
    """An XML property list."""
    return plistlib.dumps(dict(values), fmt=plistlib.FMT_XML)


def der(values: Mapping[str, object]) -> bytes:
    """`[APPLICATION 16] { INTEGER 1, [CONTEXT 16] { … } }`."""
    return element(0x70, element(0x02, b"\x01") + dictionary(values))


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        length = bytes([size])
    else:
        digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + length + content


def dictionary(values: Mapping[str, object]) -> bytes:
    pairs = (
        element(0x30, element(0x0C, key.encode()) + value(values[key])) for key in sorted(values)
    )
    return element(0xB0, b"".join(pairs))


def value(item: object) -> bytes:
    match item:
        case bool():
            return element(0x01, b"\xff" if item else b"\x00")
        case int():
            return element(
                0x02,
                item.to_bytes(
                    (item if item >= 0 else ~item).bit_length() // 8 + 1, "big", signed=True
                ),
            )
        case str():
            return element(0x0C, item.encode())
        case list() | tuple():
            return element(0x30, b"".join(map(value, item)))
        case dict():
            return dictionary(item)
    raise TypeError(item)


def blob(magic: int, content: bytes) -> bytes:
    return struct.pack(">II", magic, 8 + len(content)) + content


def superblob(
    *,
    flags: int = ADHOC,
    xml: bytes | None = None,
    der: bytes | None = None,
    directory: bool = True,
) -> bytes:
    """An embedded signature; the code directory is as long as the reader looks into it."""
    parts = []
    if directory:
        parts.append((0, blob(0xFADE0C02, struct.pack(">II", 0x20400, flags) + bytes(28))))
    if xml is not None:
        parts.append((5, blob(0xFADE7171, xml)))
    if der is not None:
        parts.append((7, blob(0xFADE7172, der)))
    parts.append((0x10000, blob(0xFADE0B01, b"")))  # the CMS signature, empty when ad hoc
    offset = 12 + 8 * len(parts)
    table, bodies = b"", b""
    for slot, body in parts:
        table += struct.pack(">II", slot, offset + len(bodies))
        bodies += body
    head = struct.pack(">III", 0xFADE0CC0, offset + len(bodies), len(parts))
    return head + table + bodies


def macho(signature: bytes | None, *, cpu: int = ARM64) -> bytes:
    """A file of load commands and a signature only."""
    command = b"" if signature is None else struct.pack("<IIII", 0x1D, 16, 72, len(signature))
    other = struct.pack("<II", 0x1B, 24) + bytes(16)  # LC_UUID
    commands = other + command
    count = 1 + bool(command)
    head = struct.pack("<IiIIIIII", 0xFEEDFACF, cpu, 0, 2, count, len(commands), 0, 0)
    return (head + commands).ljust(72, b"\0") + (signature or b"")


def resign(data: bytes, signature: bytes) -> bytes:
    """A linked Mach-O file with its ad hoc signature replaced; offsets of everything else stay."""
    count = struct.unpack_from("<I", data, 16)[0]
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, at)
        if command == 0x1D:
            start = struct.unpack_from("<I", data, at + 8)[0]
            head = bytearray(data[:start])
            struct.pack_into("<I", head, at + 12, len(signature))
            return bytes(head) + signature
        at += size
    raise AssertionError("no LC_CODE_SIGNATURE")


def fat(*files: bytes) -> bytes:
    """A universal file of these."""
    at = 8 + 20 * len(files)
    table, bodies = b"", b""
    for each in files:
        cpu = struct.unpack_from("<i", each, 4)[0]
        table += struct.pack(">iiIII", cpu, 0, at + len(bodies), len(each), 0)
        bodies += each
    return struct.pack(">II", 0xCAFEBABE, len(files)) + table + bodies
