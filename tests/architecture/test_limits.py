"""`limits.py` equals the core's header, and every limit of the header that both sides need has a name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from interlock import limits

if TYPE_CHECKING:
    from pathlib import Path

# Names differ where the header's word needs no unit in C.
_RENAMED = {"IL_RODATA_DELTA": "RODATA_DELTA_BYTES"}
# Used inside the core only.
_CORE_ONLY = {
    "IL_ARENAS_MAX",
    "IL_INSTRUCTION_BYTES_MAX",
    "IL_PATH_BYTES_MAX",
    "IL_RESERVATIONS_MAX",
}


def _header_limits(repository: Path) -> dict[str, int]:
    header = (repository / "core/include/interlock.h").read_text(encoding="utf-8")
    header = header[header.index("/* ---- Limits") : header.index("/* ---- What is published")]
    pairs = re.findall(r"^\s+(IL_\w+) = (\d+)(?: << (\d+))?,?\s*(?:/\*|$)", header, re.MULTILINE)
    return {name: int(value) << int(shift or 0) for name, value, shift in pairs}


def test_limits_equal_the_header(repository: Path) -> None:
    header = _header_limits(repository)
    shared = {name: value for name, value in header.items() if name not in _CORE_ONLY}

    found = {name: getattr(limits, _RENAMED.get(name, name.removeprefix("IL_"))) for name in shared}

    assert len(shared) >= 11
    assert found == shared


@pytest.mark.parametrize("name", sorted(_CORE_ONLY))
def test_core_only_limit_is_still_in_the_header(repository: Path, name: str) -> None:
    assert name in _header_limits(repository)


def test_room_below_the_stack_limit_holds_a_frame() -> None:
    assert limits.STACK_ROOM_BYTES >= 2 * limits.FRAME_BYTES_MAX
