"""Suppressions: every language's comments, every scope, and what only looks like one."""

from __future__ import annotations

import pytest

from interlock.audit import suppressions


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.c", "f();  // interlock: ignore[AJ101] a probe"),
        ("a.mm", "f();  /* interlock: ignore[AJ101]: a probe */"),
        ("src/a.rs", "fn f<'a>(x: &'a u8) {}  // interlock: ignore[aj101] - a probe"),
        ("a.py", "f()  # interlock: ignore[AJ101] a probe"),
        ("cmake/CMakeLists.txt", "f()  # interlock: ignore[AJ101] a probe"),
        ("a.plist", "<true/> <!-- interlock: ignore[AJ101] a probe -->"),
        ("a.c", "f();  // interlock: ignore[AJ101] a probe\r"),
    ],
)
def test_comment_of_each_language(path: str, text: str) -> None:
    (found,) = suppressions.read(path, text.encode())

    assert (found.rules, found.reason, found.problem) == (("AJ101",), "a probe", "")
    assert found.covers("AJ101", 1, 1)
    assert not found.covers("AJ101", 2, 2)
    assert not found.covers("AJ102", 1, 1)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.c", 'puts("// interlock: ignore[AJ101] text");'),
        ("a.c", 'puts("\\"// interlock: ignore[AJ101] text");'),
        ("a.cpp", 'auto s = R"x(\n// interlock: ignore[AJ101] text\n)x";'),
        ("a.rs", 'let s = r#"\n// interlock: ignore[AJ101] text\n"#;'),
        ("a.py", 's = """\n# interlock: ignore[AJ101] text\n"""'),
        ("a.py", "s = '# interlock: ignore[AJ101] text'"),
        ("a.plist", "<![CDATA[<!-- interlock: ignore[AJ101] text -->]]>"),
        ("a.json", "// interlock: ignore[AJ101] this kind of file has no comments"),
        ("a.c", "// interlock: ignored[AJ101] another word"),
        ("a.c", 'R"(// interlock: ignore[AJ101] a string without an end'),
    ],
)
def test_text_that_is_no_comment_suppresses_nothing(path: str, text: str) -> None:
    assert suppressions.read(path, text.encode()) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("// interlock: ignore", "names no rule"),
        ("// interlock: ignore[] why", "names no rule"),
        ("// interlock: ignore[AJ101, other] why", "names no rule"),
        ("// interlock: ignore[A] why", "names no rule"),
        ("// interlock: ignore[AJ101]", "gives no reason"),
        ("/* interlock: ignore-file[AJ101] */", "gives no reason"),
        ("// interlock: ignore-start[AJ101] why", "without ignore-end"),
        ("// interlock: ignore-end", "without ignore-start"),
    ],
)
def test_incomplete_comment_suppresses_nothing_and_says_why(text: str, problem: str) -> None:
    (found,) = suppressions.read("a.c", text.encode())

    assert problem in found.problem
    assert not found.covers("AJ101", 1, 1)


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("x\n// interlock: ignore[AJ1] why\nx\nx", {2}),
        ("x\n// interlock: ignore-next-line[AJ1] why\nx\nx", {3}),
        ("x\n// interlock: ignore-start[AJ1] why\nx\n// interlock: ignore-end\nx", {2, 3, 4}),
        ("x\nx\nx\n// interlock: ignore-file[AJ1] why", {1, 2, 3, 4, 5}),
        ("x\n/*\n interlock: ignore[AJ1] why\n*/\nx", {3}),
    ],
)
def test_lines_that_a_scope_covers(text: str, covered: set[int]) -> None:
    (found,) = suppressions.read("a.c", text.encode())

    assert {line for line in range(1, 6) if found.covers("AJ101", line, line)} == covered


def test_blocks_nest() -> None:
    text = (
        "// interlock: ignore-start[AJ1] outer\n// interlock: ignore-start[AJ2] inner\n"
        "// interlock: ignore-end\nx\n// interlock: ignore-end\n"
    )

    outer, inner = suppressions.read("a.c", text.encode())

    assert [(each.reason, each.first, each.last) for each in (outer, inner)] == [
        ("outer", 1, 5),
        ("inner", 2, 3),
    ]


def test_finding_over_several_lines_is_suppressed_at_any_of_them() -> None:
    (found,) = suppressions.read("a.c", b"mmap(0,\n  1);  // interlock: ignore[AJ101] why")

    assert found.covers("AJ101", 1, 2)


def test_bytes_that_are_no_text_hide_nothing() -> None:
    (found,) = suppressions.read("a.c", b"\xff\xfe\n// \xc3 interlock: ignore[AJ101] why\xff")

    assert found.line == 2
    assert found.covers("AJ101", 2, 2)
