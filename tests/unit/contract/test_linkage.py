"""What a Mach-O file links, from linked files and from damaged ones."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contract import read_linkage
from interlock.errors import EntitlementsError, LimitExceededError
from tests.unit.contract import signing

if TYPE_CHECKING:
    from pathlib import Path


def _file(*commands: bytes) -> bytes:
    """A header, load commands, and 64 bytes after them."""
    body = b"".join(commands)
    head = struct.pack("<IiIIIIII", 0xFEEDFACF, signing.ARM64, 0, 2, len(commands), len(body), 0, 0)
    return head + body + bytes(64)


def _text_command(number: int, text: bytes, start: int = 24) -> bytes:
    size = start + len(text)
    return struct.pack("<III", number, size, start).ljust(start, b"\0") + text


def _segment(*sections: tuple[bytes, bytes, int, int, int]) -> bytes:
    rows = b"".join(
        struct.pack("<16s16sQQIIIIIIII", name, segment, 0, size, offset, 0, 0, 0, flags, 0, 0, 0)
        for name, segment, offset, size, flags in sections
    )
    head = struct.pack("<II", 0x19, 72 + len(rows)) + bytes(56)
    return head + struct.pack("<II", len(sections), 0) + rows


LIBRARY = _text_command(0xC, b"@rpath/a.dylib\0\0")
RPATH = _text_command(0x8000001C, b"@loader_path\0\0\0\0", 12)
VERSION = struct.pack("<IIIIII", 0x32, 24, 1, 0x000C0100, 0, 0)
SECTIONS = _segment(
    (b"__pth_jit_func\0\0", b"__DATA_CONST", 32, 16, 0),
    # 16 letters, without an end; and one that has no bytes in the file.
    (b"__sixteen_letter", b"__TEXT", 40, 8, 0),
    (b"__bss", b"__DATA", 0, 1 << 40, 1),
)
FULL = _file(LIBRARY, RPATH, VERSION, SECTIONS)


def test_commands_are_read() -> None:
    (found,) = read_linkage(FULL)

    assert (found.architecture, found.minimum_macos) == ("arm64", "12.1")
    assert (found.libraries, found.rpaths) == (("@rpath/a.dylib",), ("@loader_path",))
    assert {name: each.size_bytes for name, each in found.sections.items()} == {
        "__DATA_CONST,__pth_jit_func": 16,
        "__TEXT,__sixteen_letter": 8,
        "__DATA,__bss": 1 << 40,
    }


def test_imports_are_what_is_undefined(tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
    source, binary = tmp_path / "a.c", tmp_path / "a.out"
    source.write_text(
        'int puts(const char *); int f(void) { return puts(""); } int main(void) { return f(); }'
    )
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos", str(source)]
    subprocess.run([*command, "-o", str(binary)], check=True)

    for found in read_linkage(signing.fat(binary.read_bytes(), binary.read_bytes())):
        assert "_puts" in found.imports
        assert not {"_f", "_main"} & found.imports
        assert found.libraries == ("/usr/lib/libSystem.B.dylib",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends inside"),
        (b"\x7fELF" + bytes(60), "not a 64-bit Mach-O"),
        (_file(LIBRARY)[:50], "past the end"),
        (_file(_text_command(0xC, b"no end")), "the name of a library has no end"),
        (_file(_text_command(0xC, b"x\0")[:8] + b"\xff" * 18), "the name of a library has no end"),
        (_file(_segment((b"a", b"b", 32, 1 << 20, 0))), "section a reaches past the end"),
        (_file(SECTIONS[:64] + b"\xff\xff\xff\xff" + SECTIONS[68:]), "ends inside a section"),
        (_file(struct.pack("<IIIIII", 0x2, 24, 32, 1 << 20, 32, 8)), "the symbol table reaches"),
        (_file(struct.pack("<IIIIII", 0x2, 24, 32, 0, 32, 1 << 20)), "the string table reaches"),
        (_file(struct.pack("<II", 0x32, 8)), "ends inside LC_BUILD_VERSION"),
    ],
)
def test_bad_file_is_located(data: bytes, message: str) -> None:
    with pytest.raises(EntitlementsError, match=message) as raised:
        read_linkage(data, file="app")

    assert str(raised.value).startswith("app")


@given(st.integers(0, len(FULL) - 1), st.binary(max_size=8))
def test_damage_is_an_error_of_ours_or_nothing(at: int, noise: bytes) -> None:
    with contextlib.suppress(EntitlementsError, LimitExceededError):
        read_linkage(FULL[:at] + noise + FULL[at + len(noise) :])
    with contextlib.suppress(EntitlementsError, LimitExceededError):
        read_linkage(FULL[:at] + noise)
