"""The core stays small enough to be read, and is written as style.md says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tools import report_sizes

if TYPE_CHECKING:
    from pathlib import Path

_PLATFORM = re.compile(
    r"#\s*(?:if|ifdef|ifndef|elif)\b.*(?:__linux__|__APPLE__|_WIN32|__x86_64__|__aarch64__)"
)
_ALLOCATION = re.compile(r"\b(?:malloc|calloc|realloc|alloca|strdup)\s*\(")


def _without_comments(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


@pytest.mark.parametrize(("arch", "system"), report_sizes.TARGETS)
def test_core_of_each_target_is_below_its_line_budget(arch: str, system: str) -> None:
    assert 0 < report_sizes.core_lines(arch, system) < report_sizes.CORE_LINES_MAX


def test_no_file_of_the_core_escapes_the_budget() -> None:
    counted = {
        path
        for arch, system in report_sizes.TARGETS
        for path in report_sizes.core_files()
        if report_sizes._is_of(path, arch, system)
    }

    assert counted == set(report_sizes.core_files())


def test_core_does_not_include_python() -> None:
    for path in report_sizes.core_files():
        if path.name.startswith("binding") or "binding" in path.parts:
            continue
        assert "Python.h" not in path.read_text(encoding="utf-8"), path


def test_core_has_no_platform_conditions() -> None:
    for path in report_sizes.core_files():
        if path.suffix == ".c":
            assert not _PLATFORM.search(_without_comments(path)), path


def test_core_asserts_nothing_that_a_build_may_delete() -> None:
    for path in report_sizes.core_files():
        assert not re.search(r"(?<!static_)(?<!_Static_)\bassert\s*\(", _without_comments(path)), (
            path
        )


def test_core_does_not_allocate_from_the_heap() -> None:
    for path in report_sizes.core_files():
        assert not _ALLOCATION.search(_without_comments(path)), path
