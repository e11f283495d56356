"""Signatures of Mach-O files: hardening, and entitlements from both blobs."""

from __future__ import annotations

import contextlib
import itertools
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock import limits
from interlock.contract import is_macho, read_signatures
from interlock.contract.entitlements import ALLOW_JIT, JIT_WRITE_ALLOWLIST
from interlock.errors import EntitlementsError, LimitExceededError
from tests.unit.contract import signing

if TYPE_CHECKING:
    from pathlib import Path

_JIT = {ALLOW_JIT: True}
_FULL = signing.macho(
    signing.superblob(
        flags=signing.RUNTIME, xml=signing.plist(_JIT), der=signing.der({JIT_WRITE_ALLOWLIST: True})
    )
)


def test_hardening_and_entitlements_are_read() -> None:
    (found,) = read_signatures(_FULL)

    assert found is not None
    assert (found.architecture, found.is_hardened, found.is_adhoc) == ("arm64", True, False)
    assert found.xml is not None
    assert found.xml.values == _JIT
    # The kernel goes by DER where there is one.
    assert found.entitlements is found.der
    assert found.entitlements.values == {JIT_WRITE_ALLOWLIST: True}


def test_xml_alone_counts() -> None:
    (found,) = read_signatures(signing.macho(signing.superblob(xml=signing.plist(_JIT))))

    assert found is not None
    assert not found.is_hardened
    assert found.is_adhoc
    assert found.entitlements.has(ALLOW_JIT)


def test_signature_without_entitlements_grants_nothing() -> None:
    (found,) = read_signatures(signing.macho(signing.superblob(flags=signing.RUNTIME)))

    assert found is not None
    assert found.is_hardened
    assert found.entitlements.values == {}


def test_unsigned_file_has_no_signature() -> None:
    assert read_signatures(signing.macho(None)) == (None,)


def test_universal_file_has_one_for_each_architecture() -> None:
    intel = signing.macho(signing.superblob(xml=signing.plist(_JIT)), cpu=signing.X86_64)

    found = read_signatures(signing.fat(_FULL, intel))

    assert [each and each.architecture for each in found] == ["arm64", "x86_64"]
    assert [each and each.is_hardened for each in found] == [True, False]


@pytest.mark.parametrize(
    ("target", "name"), [("aarch64-macos", "arm64"), ("x86_64-macos", "x86_64")]
)
def test_linked_file_is_read(tmp_path: Path, target: str, name: str) -> None:
    pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
    source, binary = tmp_path / "a.c", tmp_path / "a.out"
    source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, str(source)]
    subprocess.run([*command, "-o", str(binary)], check=True)
    data = binary.read_bytes()

    assert is_macho(data)
    before = read_signatures(data)
    if before == (None,):
        # zig signs for Apple silicon only: nothing else needs a signature to start.
        assert name == "x86_64"
        return
    assert before[0] is not None
    assert (before[0].architecture, before[0].is_adhoc, before[0].is_hardened) == (
        name,
        True,
        False,
    )
    assert before[0].entitlements.values == {}
    signature = signing.superblob(flags=signing.RUNTIME, der=signing.der(_JIT))
    (after,) = read_signatures(signing.resign(data, signature))
    assert after is not None
    assert after.is_hardened
    assert after.entitlements.values == _JIT


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends inside"),
        (b"\x7fELF" + bytes(60), "not a 64-bit Mach-O"),
        (struct.pack("<I", 0xFEEDFACE) + bytes(60), "not a 64-bit Mach-O"),
        (_FULL[:40], "past the end"),
        (_FULL[:-1], "past the end"),
        (_FULL.replace(struct.pack("<II", 0x1B, 24), struct.pack("<II", 0x1B, 0)), "shorter"),
        (_FULL.replace(b"\xfa\xde\x0c\xc0", b"\xfa\xde\x0c\xc1"), "not a code signature"),
        (_FULL.replace(b"\xfa\xde\x71\x72", b"\xfa\xde\x71\x71"), "slot 7 holds"),
        (signing.macho(signing.superblob(directory=False)), "without a code directory"),
        (signing.macho(signing.superblob(der=b"\x70\x00")), "DER: ends"),
        (signing.macho(signing.superblob(xml=b"<plist>")), "XML"),
        (
            # The DER blob's row in the table of blobs says XML.
            _FULL.replace(struct.pack(">I", 7), struct.pack(">I", 5), 1),
            "slot 5 appears twice",
        ),
        (signing.fat(_FULL)[:-1], "past the end"),
    ],
    ids=itertools.count(),
)
def test_bad_file_is_located(data: bytes, message: str) -> None:
    with pytest.raises(EntitlementsError, match=message) as raised:
        read_signatures(data, file="app")

    assert str(raised.value).startswith("app")


def _at_limit(number: int, offset: int, value: int) -> bytes:
    data = bytearray(_FULL)
    struct.pack_into("<I" if number else ">I", data, offset, value)
    return bytes(data)


def test_limits_of_load_commands_blobs_and_architectures() -> None:
    signature_at = _FULL.index(b"\xfa\xde\x0c\xc0")
    cases = [
        ("MACHO_LOAD_COMMANDS_MAX", lambda n: _at_limit(1, 16, n)),
        ("CODE_SIGNATURE_BLOBS_MAX", lambda n: _at_limit(0, signature_at + 8, n)),
        ("MACHO_ARCHITECTURES_MAX", lambda n: struct.pack(">II", 0xCAFEBABE, n)),
    ]
    for name, make in cases:
        maximum = getattr(limits, name)
        with pytest.raises(LimitExceededError, match=name):
            read_signatures(make(maximum + 1))
        with contextlib.suppress(EntitlementsError):
            read_signatures(make(maximum))  # short of content, but not too many


def test_limit_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MACHO_BYTES_MAX", len(_FULL))
    assert read_signatures(_FULL)[0] is not None
    with pytest.raises(LimitExceededError, match="MACHO_BYTES_MAX"):
        read_signatures(_FULL + b"\0")


@given(st.lists(st.tuples(st.integers(0, len(_FULL) - 1), st.integers(0, 255)), max_size=4))
def test_damaged_file_is_refused_or_read_and_never_crashes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(_FULL)
    for position, byte in changes:
        data[position] = byte

    with contextlib.suppress(EntitlementsError, LimitExceededError):
        read_signatures(bytes(data))
