"""Property lists and DER become entitlements, or an error that says where."""

from __future__ import annotations

import contextlib
import plistlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock import limits
from interlock.contract import Entitlements, parse_der, parse_plist
from interlock.contract.entitlements import (
    ALLOW_JIT,
    ALLOW_UNSIGNED_EXECUTABLE_MEMORY,
    DISABLE_EXECUTABLE_PAGE_PROTECTION,
    FATAL_EXCEPTIONS,
    JIT_WRITE_ALLOWLIST_FREEZE_LATE,
)
from interlock.errors import EntitlementsError, LimitExceededError
from tests.unit.contract import signing

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0">\n'
_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _thawed(value: object) -> object:
    if isinstance(value, tuple):
        return [_thawed(each) for each in value]
    if isinstance(value, (bool, int, str)):
        return value
    assert hasattr(value, "items")
    return {key: _thawed(each) for key, each in value.items()}


def test_entitlements_of_a_property_list() -> None:
    found = parse_plist(signing.plist({ALLOW_JIT: True, "application-identifier": "X.y"}))

    assert found.has(ALLOW_JIT)
    assert found.allows_jit
    assert not found.allows_unsigned_memory
    assert found.values["application-identifier"] == "X.y"


@pytest.mark.parametrize("value", [False, 1, "true", "YES", ["jit"], {}])
def test_only_true_grants(value: object) -> None:
    assert not parse_plist(signing.plist({ALLOW_JIT: value})).has(ALLOW_JIT)


def test_each_of_the_three_includes_the_one_before() -> None:
    for key in (ALLOW_JIT, ALLOW_UNSIGNED_EXECUTABLE_MEMORY, DISABLE_EXECUTABLE_PAGE_PROTECTION):
        assert Entitlements.of({key: True}).allows_jit
    assert not Entitlements.of({ALLOW_JIT: True}).allows_unsigned_memory
    assert Entitlements.of({DISABLE_EXECUTABLE_PAGE_PROTECTION: True}).allows_unsigned_memory


def test_fatal_exceptions_is_a_list_that_holds_jit() -> None:
    assert parse_plist(signing.plist({FATAL_EXCEPTIONS: ["jit"]})).has(FATAL_EXCEPTIONS)
    for value in (["guard"], [], "jit", True):
        assert not parse_plist(signing.plist({FATAL_EXCEPTIONS: value})).has(FATAL_EXCEPTIONS)


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ({ALLOW_JIT: True}, []),
        ({ALLOW_JIT: False}, ["K9"]),
        ({ALLOW_JIT: "true"}, ["X6"]),
        ({ALLOW_JIT: True, ALLOW_UNSIGNED_EXECUTABLE_MEMORY: True}, ["K8"]),
        ({DISABLE_EXECUTABLE_PAGE_PROTECTION: True}, []),
        (
            {
                ALLOW_JIT: True,
                ALLOW_UNSIGNED_EXECUTABLE_MEMORY: True,
                DISABLE_EXECUTABLE_PAGE_PROTECTION: True,
            },
            ["K8", "K8"],
        ),
        ({JIT_WRITE_ALLOWLIST_FREEZE_LATE: True}, ["F3"]),
    ],
)
def test_remarks_name_the_rule(values: dict[str, object], rules: list[str]) -> None:
    remarks = parse_plist(signing.plist(values)).remarks()

    assert [each.rule for each in remarks] == rules


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (b"", "a.entitlements:1:", "not"),
        (b"{ a = 1; }", "a.entitlements:1:", "not"),
        (b"bplist00\xd0", "a.entitlements:1:1", "binary property list"),
        (_HEAD + b"<dict>\n<key>a</key><true>\n</dict></plist>", "a.entitlements:5:", "XML"),
        (_HEAD + b"<array/></plist>", "a.entitlements:1:1", "no <dict>"),
        (
            _HEAD + b"<dict>\n  <key>a</key><real>1.5</real></dict></plist>",
            "a.entitlements:4:3",
            "float",
        ),
        (
            _HEAD + b"<dict><key>a</key><data>AA==</data></dict></plist>",
            "a.entitlements:3:",
            "bytes",
        ),
        (_HEAD + b"<dict><key>a</key><date>x</date></dict></plist>", "a.entitlements:1:1", "not a"),
        (
            _HEAD + b"<dict><key>a</key><integer>x</integer></dict></plist>",
            "a.entitlements:1:1",
            "not a",
        ),
        (_HEAD + b"<dict><true/></dict></plist>", "a.entitlements:1:1", "not a"),
        (
            b'<!DOCTYPE plist [<!ENTITY e "x">]>\n<plist><dict/></plist>',
            "a.entitlements:1:1",
            "not a",
        ),
    ],
)
def test_bad_property_list_is_located(text: bytes, place: str, message: str) -> None:
    with pytest.raises(EntitlementsError, match=message) as raised:
        parse_plist(text, file="a.entitlements")

    assert str(raised.value).startswith(place)


def test_property_list_at_the_limit_of_size_and_one_past_it() -> None:
    whole = signing.plist({ALLOW_JIT: True})
    full = whole + b"\n" * (limits.ENTITLEMENTS_BYTES_MAX - len(whole))

    assert parse_plist(full).has(ALLOW_JIT)
    with pytest.raises(LimitExceededError, match="ENTITLEMENTS_BYTES_MAX"):
        parse_plist(full + b"\n")
    with pytest.raises(LimitExceededError, match="ENTITLEMENTS_BYTES_MAX"):
        parse_der(bytes(limits.ENTITLEMENTS_BYTES_MAX + 1))


def _nested(depth: int) -> object:
    value: object = True
    for _ in range(depth - 1):
        value = [value]
    return value


def test_values_at_the_limit_of_nesting_and_one_past_it() -> None:
    for parse, write in ((parse_plist, signing.plist), (parse_der, signing.der)):
        parse(write({"a": _nested(limits.ENTITLEMENTS_NESTING_MAX)}))
        with pytest.raises(LimitExceededError, match="ENTITLEMENTS_NESTING_MAX"):
            parse(write({"a": _nested(limits.ENTITLEMENTS_NESTING_MAX + 1)}))


@given(st.dictionaries(st.text(max_size=20), _VALUES, max_size=4))
def test_der_reads_what_was_written(values: dict[str, object]) -> None:
    assert _thawed(parse_der(signing.der(values)).values) == values


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends inside"),
        (b"\x70\x80", "indefinite"),
        (b"\x70\x81\x05\x02\x01\x01\xb0\x00", "shortest form"),
        (signing.der({})[:-1], "past its parent"),
        (signing.der({}) + b"\0", "after the entitlements"),
        (signing.element(0x70, b"\x02\x01\x02" + signing.dictionary({})), "other than 1"),
        (
            signing.element(0x70, b"\x02\x01\x01" + signing.element(0x30, b"")),
            "expected a dictionary",
        ),
        (
            signing.element(0x70, b"\x02\x01\x01" + signing.dictionary({}) + b"\x05\x00"),
            "after the dict",
        ),
        (signing.der({"a": True}).replace(b"\x01\x01\xff", b"\x01\x01\x01"), "neither 00 nor ff"),
        (signing.der({"a": True}).replace(b"\x01\x01\xff", b"\x05\x01\xff"), "unknown tag"),
        (signing.der({"ab": True, "ac": True}).replace(b"ac", b"aa"), "out of order"),
        (signing.der({"ab": True, "ac": True}).replace(b"ac", b"ab"), "repeats"),
        (signing.der({"ab": True}).replace(b"ab", b"\xff\xfe"), "UTF-8"),
        (signing.der({"a": 256}).replace(b"\x01\x00", b"\x00\x01"), "shortest form"),
    ],
)
def test_bad_der_is_located(data: bytes, message: str) -> None:
    with pytest.raises(EntitlementsError, match=message) as raised:
        parse_der(data, base=0x100, file="app")

    assert raised.value.span is not None
    assert 0x100 <= raised.value.span.start <= 0x100 + len(data)
    assert str(raised.value).startswith("app+0x1")


@given(st.binary(max_size=64), st.integers(0, 80), st.integers(0, 255))
def test_damaged_der_is_refused_or_read_and_never_crashes(
    tail: bytes, position: int, byte: int
) -> None:
    whole = bytearray(signing.der({ALLOW_JIT: True, "b": [1, "x", {"y": False}]}) + tail)
    whole[position % len(whole)] = byte

    with contextlib.suppress(EntitlementsError, LimitExceededError):
        parse_der(bytes(whole))


@given(st.integers(0, 400), st.binary(max_size=3))
def test_damaged_property_list_is_refused_or_read_and_never_crashes(
    position: int, inserted: bytes
) -> None:
    whole = plistlib.dumps({ALLOW_JIT: True, "b": [1, "x", {"y": False}]})
    at = position % len(whole)

    with contextlib.suppress(EntitlementsError, LimitExceededError):
        parse_plist(whole[:at] + inserted + whole[at + len(inserted) // 2 :])
