"""Fingerprints and baselines: what moves is recognised, what is new is not, and a damaged file is refused with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interlock import limits
from interlock.audit import atomic, baseline
from interlock.audit.finding import Finding, Match, Origin, Place, Severity
from interlock.audit.fingerprint import fingerprints
from interlock.audit.sources import Sources
from interlock.errors import AuditSetupError

if TYPE_CHECKING:
    from pathlib import Path


def _finding(
    path: Path | str, line: int = 0, rule: str = "AJ101", message: str = "wrong"
) -> Finding:
    match = Match(place=Place(path=str(path), line=line), message=message)
    return Finding(rule=rule, severity=Severity.ERROR, origin=Origin.OWN, match=match)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.c"
    path.write_text("first\n  call();\nother();\n  call();\n", "utf-8")
    return path


def test_finding_is_known_after_its_line_has_moved_and_been_indented(source: Path) -> None:
    file = source.with_name("baseline.json")
    baseline.write(file, [_finding(source, 2)])
    source.write_text("new\nnew\n\tcall();\n", "utf-8")

    new, old, gone = baseline.read(file).split([_finding(source, 3)])

    assert (new, len(old), gone) == ([], 1, 0)


@pytest.mark.parametrize("changed", [(3, "AJ101"), (2, "AJ102")])
def test_finding_is_new_in_another_line_or_by_another_rule(
    source: Path, changed: tuple[int, str]
) -> None:
    file = source.with_name("baseline.json")
    baseline.write(file, [_finding(source, 2)])

    new, old, gone = baseline.read(file).split([_finding(source, *changed)])

    assert (len(new), old, gone) == (1, [], 1)


def test_one_more_of_the_same_is_new(source: Path) -> None:
    file = source.with_name("baseline.json")
    baseline.write(file, [_finding(source, 2)])

    new, old, _ = baseline.read(file).split([_finding(source, 2), _finding(source, 4)])

    assert (len(new), len(old)) == (1, 1)


def test_findings_of_a_binary_are_told_apart_by_what_they_say() -> None:
    both = [_finding("a.dylib", message="one"), _finding("a.dylib", message="two")]

    assert len({fingerprint for _, fingerprint in fingerprints(both)}) == 2


@pytest.mark.parametrize("name", ["a\nb\x1b[31m.c", "\udcff.c"])
def test_baseline_holds_hostile_names_of_files(tmp_path: Path, name: str) -> None:
    file = tmp_path / "baseline.json"
    baseline.write(file, [_finding(name)])

    assert file.read_bytes().isascii()
    assert baseline.read(file).split([_finding(name)])[0] == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{\n  nonsense", "baseline.json:2:3: it is no JSON"),
        (b"\xff\xff", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"[]", "it is no baseline of version 1"),
        (b'{"version": 2, "findings": []}', "it is no baseline of version 1"),
        (b'{"version": 1}', "has no fingerprint"),
        (b'{"version": 1, "findings": [{"fingerprint": [1]}]}', "has no fingerprint"),
    ],
)
def test_damaged_baseline_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "baseline.json"
    file.write_bytes(data)

    with pytest.raises(AuditSetupError) as refused:
        baseline.read(file)

    assert says in str(refused.value)


def test_missing_baseline_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(AuditSetupError, match="--write-baseline makes it"):
        baseline.read(tmp_path / "none.json")


def test_baseline_at_its_limit_and_one_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "baseline.json"
    baseline.write(file, [_finding("a.dylib")])
    size = file.stat().st_size
    monkeypatch.setattr(limits, "AUDIT_BASELINE_BYTES_MAX", size)
    baseline.read(file)
    monkeypatch.setattr(limits, "AUDIT_BASELINE_BYTES_MAX", size - 1)

    with pytest.raises(AuditSetupError, match="AUDIT_BASELINE_BYTES_MAX"):
        baseline.read(file)


def test_lines_of_a_file_at_the_limit_and_one_past_it(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SHOWN_BYTES_MAX", source.stat().st_size)
    assert Sources().line(str(source), 2) == "  call();"
    monkeypatch.setattr(limits, "AUDIT_SHOWN_BYTES_MAX", source.stat().st_size - 1)

    assert Sources().line(str(source), 2) == ""


def test_files_that_are_held_at_the_limit_and_one_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_SHOWN_FILES_MAX", 2)
    sources = Sources()
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"old")
    for path in paths[:2]:
        sources.line(str(path), 1)
    for path in paths:
        path.write_bytes(b"new")

    assert sources.line(str(paths[0]), 1) == "old"  # the first two are held
    assert sources.line(str(paths[2]), 1) == "new"  # the third takes the place of the second
    assert sources.line(str(paths[1]), 1) == "new"


@pytest.mark.parametrize("name", ["gone.c", "nul\0.c", "."])
def test_file_that_cannot_be_read_has_no_lines(tmp_path: Path, name: str) -> None:
    assert Sources().lines(f"{tmp_path}/{name}") == ()


def test_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic.write(file, b"new")

    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert file.read_bytes() == b"old"


def test_write_keeps_mode_and_link(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "link"
    file.write_bytes(b"old")
    file.chmod(0o600)
    link.symlink_to("a")

    atomic.write(link, b"new")

    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)
