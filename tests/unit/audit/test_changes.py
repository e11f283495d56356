"""`--since`: the changed lines of a real repository, whatever its files are called."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from interlock.audit import changes
from interlock.errors import AuditSetupError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


class Repository:
    """A work tree with one commit, `base`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q", "-b", "trunk")
        self.git("config", "user.email", "a@example.org")
        self.git("config", "user.name", "a")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def write(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.write_bytes(data)
        return path

    def commit(self, tag: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", tag)
        self.git("tag", tag)

    def touched(self, path: Path, lines: int = 12) -> set[int]:
        found = changes.since("base", [str(self.root)])
        return {line for line in range(1, lines) if found.touch(str(path), line, line)}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["a.c", "with blank.c", 'a"b\\.c', "new\nline.c", "t\tab.c", "\x1b[31mé.c", "b.c differ"],
)
def test_changed_and_added_lines_of_any_name(repository: Repository, name: str) -> None:
    path = repository.write(name, b"1\n2\n3\n4\n5\n")
    repository.commit("base")
    repository.write(name, b"1\nx\n3\n4\n5\n6\n")

    assert repository.touched(path) == {2, 6}


def test_lines_on_both_sides_of_what_is_gone(repository: Repository) -> None:
    path = repository.write("a.c", b"1\n2\n3\n4\n5\n")
    repository.commit("base")
    repository.write("a.c", b"1\n2\n4\n5\n")

    assert repository.touched(path) == {2, 3}


def test_lines_that_look_like_headers_are_lines(repository: Repository) -> None:
    path = repository.write("a.c", b"1\n")
    other = repository.write("b.c", b"1\n2\n3\n")
    repository.commit("base")
    repository.write("a.c", b"1\n++ b/b.c\n@@ -0,0 +3 @@\n")

    assert repository.touched(path) == {2, 3}
    assert repository.touched(other) == set()


def test_unknown_file_is_new_and_an_ignored_one_is_not(repository: Repository) -> None:
    repository.write(".gitignore", b"*.o\n")
    repository.commit("base")
    new, ignored = repository.write("new.c", b"1\n"), repository.write("new.o", b"1\n")

    assert repository.touched(new) == set(range(1, 12))
    assert repository.touched(ignored) == set()


def test_changed_binary_counts_as_a_whole(repository: Repository) -> None:
    path = repository.write("a b.dylib", b"\0\1")
    same = repository.write("same.dylib", b"\0\1")
    repository.commit("base")
    repository.write("a b.dylib", b"\0\2")

    found = changes.since("base", [str(repository.root)])

    assert found.touch(str(path), 0, 0)
    assert not found.touch(str(same), 0, 0)


def test_what_the_other_branch_did_since_is_not_ours(repository: Repository) -> None:
    path = repository.write("a.c", b"1\n2\n3\n")
    repository.commit("fork")
    repository.git("checkout", "-q", "-b", "ours")
    repository.git("checkout", "-q", "trunk")
    repository.write("a.c", b"x\n2\n3\n")
    repository.commit("base")
    repository.git("checkout", "-q", "ours")
    repository.write("a.c", b"1\n2\ny\n")

    assert repository.touched(path) == {3}


def test_settings_of_the_repository_start_no_program(repository: Repository) -> None:
    witness = repository.root / "started"
    script = repository.write("run.sh", f"#!/bin/sh\ntouch '{witness}'\n".encode())
    script.chmod(0o755)
    repository.write(".gitattributes", b"*.c diff=evil\n")
    path = repository.write("a.c", b"1\n")
    repository.commit("base")
    for key in ("diff.external", "diff.evil.command", "diff.evil.textconv", "core.fsmonitor"):
        repository.git("config", key, str(script))
    repository.write("a.c", b"2\n")
    witness.unlink(missing_ok=True)

    assert repository.touched(path) == {1}
    assert not witness.exists()


@pytest.mark.parametrize("revision", ["nowhere", "--output=evil", ""])
def test_revision_that_git_does_not_know_is_refused(repository: Repository, revision: str) -> None:
    repository.write("a.c", b"1\n")
    repository.commit("base")

    with pytest.raises(AuditSetupError, match=r"--since: in .* git says"):
        changes.since(revision, [str(repository.root)])

    assert not (repository.root / "evil").exists()


def test_variables_of_a_git_hook_name_no_other_repository(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository.root / "below").mkdir()
    path = repository.write("below/a.c", b"1\n")
    repository.commit("base")
    repository.write("below/a.c", b"2\n")
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", "nowhere")

    found = changes.since("base", [str(path)])

    assert found.touch(str(path), 1, 1)


def test_directory_outside_of_any_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditSetupError, match="not a git repository"):
        changes.since("base", [str(tmp_path)])


def test_git_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(AuditSetupError, match="needs git"):
        changes.since("base", [str(tmp_path)])
