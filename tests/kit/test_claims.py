"""The entitlements of the kit: the least set, by what the contract's model does without each, in a file that Apple's reader takes."""

from __future__ import annotations

import plistlib
import re
from xml.etree import ElementTree as ET

import pytest

from interlock.contract import Entitlements, OutcomeKind, Process, parse_plist, profile, rule
from interlock.contract.allow_list import Image
from interlock.contract.entitlements import ALLOW_JIT, JIT_WRITE_ALLOWLIST
from interlock.contract.memory import MapRequest
from interlock.contract.memory_map import Protection
from interlock.contract.threads import Thread
from interlock.kit.claims import DISABLE_LIBRARY_VALIDATION, Claim, claims, property_list

OWN, FOREIGN = claims(is_python_foreign=False), claims(is_python_foreign=True)
LISTED, UNLISTED = 0x1000, 0x2000


def _process(entitlements: Entitlements) -> tuple[Process, bool]:
    """A hardened process that linked the core, and whether it gets its region."""
    hardened = profile("macos-arm64-hardened").with_(entitlements=entitlements)
    images = [Image(name="launcher"), Image(name="libinterlock.dylib", words=(LISTED, 0))]
    process = Process(hardened, images=images)
    assert process.start().kind is OutcomeKind.OK
    outcome, _ = process.memory.mmap(MapRequest(size=64, protection=Protection.RWX, is_jit=True))
    return process, outcome.kind is OutcomeKind.OK


def _may_write(process: Process, callback: int) -> bool:
    return process.enter_callback(Thread(name="main"), callback).kind is OutcomeKind.OK


def test_with_the_claims_the_core_writes_and_nothing_else_does() -> None:
    entitlements = parse_plist(property_list(OWN).encode())

    process, has_region = _process(entitlements)

    assert has_region
    assert _may_write(process, LISTED)
    assert not _may_write(_process(entitlements)[0], UNLISTED)


def test_without_one_of_them_the_core_has_no_region_or_everybody_writes() -> None:
    entitlements = parse_plist(property_list(OWN).encode())

    _, has_region = _process(entitlements.without_key(ALLOW_JIT))
    unlisted, _ = _process(entitlements.without_key(JIT_WRITE_ALLOWLIST))

    assert not has_region
    assert _may_write(unlisted, UNLISTED)


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (OWN, [ALLOW_JIT, JIT_WRITE_ALLOWLIST]),
        (FOREIGN, [ALLOW_JIT, JIT_WRITE_ALLOWLIST, DISABLE_LIBRARY_VALIDATION]),
    ],
    ids=("own", "foreign"),
)
def test_file_claims_these_keys_and_nothing_is_to_be_changed(
    wanted: tuple[Claim, ...], keys: list[str]
) -> None:
    text = property_list(wanted)

    assert plistlib.loads(text.encode()) == dict.fromkeys(keys, True)
    assert parse_plist(text.encode()).remarks() == ()


@pytest.mark.parametrize("wanted", [OWN, FOREIGN], ids=("own", "foreign"))
def test_every_key_has_its_reason_before_it(wanted: tuple[Claim, ...]) -> None:
    text = property_list(wanted)

    for claim in wanted:
        before, _, _ = text.partition(f"<key>{claim.key}</key>")
        comment = before[before.rindex("<!--") :]
        assert comment.rstrip().endswith("-->")
        assert claim.reason in comment
        assert all(f"{each}: {rule(each).statement}\n" in comment for each in claim.rules)


@pytest.mark.parametrize("wanted", [OWN, FOREIGN], ids=("own", "foreign"))
def test_file_is_strict_xml(wanted: tuple[Claim, ...]) -> None:
    """Two hyphens inside a comment pass plutil, and break codesign (AMFIUnserializeXML)."""
    text = property_list(wanted)

    assert ET.fromstring(text).tag == "plist"  # noqa: S314  (our own text)
    assert all("--" not in comment for comment in re.findall(r"<!--(.*?)-->", text, re.DOTALL))
    assert text.isascii()
