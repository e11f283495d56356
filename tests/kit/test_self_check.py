"""What `interlock mac check` makes of what it sees: signed launchers as this repository's tests can write them."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from interlock.contract.entitlements import (
    ALLOW_JIT,
    DISABLE_EXECUTABLE_PAGE_PROTECTION,
    JIT_WRITE_ALLOWLIST,
    JIT_WRITE_ALLOWLIST_FREEZE_LATE,
)
from interlock.kit import Facts, judge
from interlock.kit.launcher import launcher_for
from interlock.kit.self_check import RESULT
from tests.unit.contract import signing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEYS: Final = {ALLOW_JIT: True, JIT_WRITE_ALLOWLIST: True}
LATE: Final = {**KEYS, JIT_WRITE_ALLOWLIST_FREEZE_LATE: True}
WIDE: Final = {**KEYS, DISABLE_EXECUTABLE_PAGE_PROTECTION: True}
TRAP: Final = -5


def _signed(
    xml: Mapping[str, object], der: Mapping[str, object] | None, flags: int = signing.RUNTIME
) -> bytes:
    blob = None if der is None else signing.der(der)
    signature = signing.superblob(flags=flags, xml=signing.plist(xml), der=blob)
    program = launcher_for("arm64", python="@executable_path/../lib/libpython3.13.dylib")
    return signing.resign(program, signature)


def _failures(facts: Facts) -> list[str]:
    return [check.rule for check in judge(facts) if not check.is_met]


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """Of a launcher that is as it should be, on Apple silicon."""
    program, library = tmp_path / "interlock-launcher", tmp_path / "libinterlock.dylib"
    program.write_bytes(_signed(KEYS, KEYS))
    # Any Mach-O file with a list of 16 bytes will do; the core's own is read in tests/core/test_binaries.py.
    data = program.read_bytes()
    old = b"__data\0\0\0\0\0\0\0\0\0\0__DATA\0\0\0\0\0\0\0\0\0\0"
    at = data.index(old)
    head = b"__pth_jit_func\0\0__DATA_CONST\0\0\0\0"
    size = (16).to_bytes(8, "little")
    library.write_bytes(data[:at] + head + data[at + 32 : at + 40] + size + data[at + 48 :])
    return Facts(
        program=program,
        architecture="arm64",
        core_libraries=(library,),
        toggle_status=TRAP,
        freeze_status=TRAP,
        protection="apple",
        result=RESULT,
    )


def test_launcher_as_it_should_be_passes(facts: Facts) -> None:
    checks = judge(facts)

    assert _failures(facts) == []
    assert {check.rule for check in checks} == {
        *("A8", "C8", "C9", "C10", "C18", "C19", "C21", "F1", "F3", "K8", "T10", "X6"),
    }
    assert all(str(check).startswith("ok   ") for check in checks)


def test_ad_hoc_signature_passes_without_hardening(facts: Facts) -> None:
    facts.program.write_bytes(_signed(KEYS, KEYS, signing.ADHOC))

    assert _failures(facts) == []


def test_what_runs_of_a_universal_file_is_looked_at(facts: Facts) -> None:
    other = launcher_for("x86_64", python="/Library/Python")
    good = facts.program.read_bytes()

    facts.program.write_bytes(signing.fat(other, good))
    assert _failures(facts) == []
    facts.program.write_bytes(signing.fat(other))
    assert _failures(facts) == ["C21", "C18"]


def test_intel_has_neither_toggle_nor_list(facts: Facts) -> None:
    for path in (facts.program, *facts.core_libraries):
        arm, intel = (struct.pack("<i", cpu) for cpu in (signing.ARM64, signing.X86_64))
        path.write_bytes(path.read_bytes().replace(arm, intel, 1))
    enforced = replace(facts, architecture="x86_64")

    assert _failures(enforced) == ["C9", "F3", "T10"]
    open_to_all = replace(enforced, toggle_status=0, freeze_status=0, protection="unprotected")
    assert _failures(open_to_all) == []


@pytest.mark.parametrize(
    ("xml", "der", "flags", "rules"),
    [
        ({}, None, signing.RUNTIME, ["A8", "C8", "X6"]),
        (KEYS, {}, signing.RUNTIME, ["A8", "C8", "X6"]),
        ({ALLOW_JIT: True}, {ALLOW_JIT: True}, signing.RUNTIME, ["C8"]),
        (LATE, LATE, signing.RUNTIME, ["F1"]),
        (WIDE, WIDE, signing.RUNTIME, ["K8"]),
        (KEYS, KEYS, 0, ["A8"]),
        # Hardened and without a team: it would load no library of anybody's.
        (KEYS, KEYS, signing.RUNTIME | signing.ADHOC, ["A8"]),
    ],
    ids=("none", "forms differ", "no list", "late", "wide", "not hardened", "ad hoc hardened"),
)
def test_signature_that_will_not_do_is_found(
    facts: Facts,
    xml: Mapping[str, object],
    der: Mapping[str, object] | None,
    flags: int,
    rules: list[str],
) -> None:
    facts.program.write_bytes(_signed(xml, der, flags))

    assert _failures(facts) == rules


def test_unsigned_launcher_is_found(facts: Facts) -> None:
    program = facts.program.read_bytes()
    facts.program.write_bytes(
        program.replace(struct.pack("<II", 0x1D, 16), struct.pack("<II", 0x1E, 16))
    )

    assert _failures(facts) == ["C21"]


def test_python_that_is_no_launcher_is_found(facts: Facts) -> None:
    """Python itself links no core, so that its list comes too late; the rest may look right."""
    program = facts.program.read_bytes()
    facts.program.write_bytes(program.replace(b"@rpath/libinterlock", b"@rpath/libsomething"))

    assert _failures(facts) == ["C18"]


def test_core_that_is_there_twice_or_without_its_list_is_found(facts: Facts) -> None:
    (library,) = facts.core_libraries

    assert _failures(replace(facts, core_libraries=(library, library))) == ["C19"]
    assert _failures(replace(facts, core_libraries=())) == ["C19"]
    assert _failures(replace(facts, core_libraries=(facts.program,))) == ["C10"]


@pytest.mark.parametrize(
    ("changed", "rules"),
    [
        ({"toggle_status": 0}, ["C9"]),
        ({"freeze_status": 0}, ["F3"]),
        ({"result": "6"}, ["C8"]),
        ({"protection": "none", "result": "mmap with MAP_JIT"}, ["C8", "T10"]),
    ],
)
def test_process_that_behaves_otherwise_is_found(
    facts: Facts, changed: dict[str, object], rules: list[str]
) -> None:
    found = replace(facts, **changed)  # type: ignore[arg-type]  (a case names any field)

    assert _failures(found) == rules
    assert all(str(check).startswith("FAIL ") for check in judge(found) if not check.is_met)
