"""The core stays small enough to be read, and is written as style.md says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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


def test_core_is_below_its_line_budget() -> None:
    assert 0 < report_sizes.core_lines() < report_sizes.CORE_LINES_MAX


def test_comments_and_blank_lines_are_not_counted(tmp_path: Path) -> None:
    source = tmp_path / "some.c"
    source.write_text("/* one\n * two */\n\nint a; /* three */\n/* four */ int b;\n", "utf-8")

    assert report_sizes.count_code_lines(source) == 2


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
