"""What has changed since a revision, as git tells it: the lines in which a finding may be new."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interlock.errors import AuditSetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Settings of the user or of the checkout must neither change what git prints nor start a program.
_GIT: Final = ("git", "-c", "core.fsmonitor=false", "--no-optional-locks")
_PATCH: Final = (
    *(
        "diff",
        "--merge-base",
        "--unified=0",
        "--inter-hunk-context=0",
        "--no-color",
        "--no-renames",
    ),
    *("--no-ext-diff", "--no-textconv", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/"),
)
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_BINARY = re.compile(rb'Binary files .* and ("b/.*"|b/.*) differ')
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED: Final = dict(zip(b"abtnvfr", b"\a\b\t\n\v\f\r", strict=True))
_ALL_LINES: Final = range(1 << 62)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The changed lines of each file, by its real path."""

    files: Mapping[str, tuple[range, ...]]

    def touch(self, path: str, first: int, last: int) -> bool:
        """Whether one of these lines has changed; line 0 stands for the file as a whole.

        What lies below a changed path has changed: that path is a submodule.
        """
        real = os.path.realpath(path)
        ranges = self.files.get(real)
        if ranges is None:
            return any(os.fspath(parent) in self.files for parent in Path(real).parents)
        return not first or any(first < each.stop and each.start <= last for each in ranges)


def since(revision: str, paths: Iterable[str]) -> Changes:
    """What differs in the working trees that hold these paths from where they left `revision`.

    Files that git does not know yet are new, unless it is told to ignore them.
    """
    files: dict[str, list[range]] = {}
    for root in sorted({_root(path) for path in paths}):
        for name, changed in _patched(_run(root, *_PATCH, "--end-of-options", revision)):
            files.setdefault(f"{root}/{name}", []).append(changed)
        unknown = _run(root, "ls-files", "--others", "--exclude-standard", "-z")
        for new in filter(None, unknown.split(b"\0")):
            files[f"{root}/{os.fsdecode(new)}"] = [_ALL_LINES]
    return Changes(files={name: tuple(lines) for name, lines in files.items()})


def _root(path: str) -> str:
    """The top of the working tree that holds a path."""
    place = Path(path)
    directory = os.path.realpath(place if place.is_dir() else place.parent)
    return os.fsdecode(_run(directory, "rev-parse", "--show-toplevel").removesuffix(b"\n"))


def _run(directory: str, *arguments: str) -> bytes:
    """What git prints; what it complains of becomes our error."""
    try:
        done = subprocess.run(
            [*_GIT, "-C", directory, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**_environment(), "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise AuditSetupError("--since needs git, which is not installed") from None
    if done.returncode:
        says = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise AuditSetupError(f"--since: in {directory!r} git says: {says}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, less what a hook of git is told about its own repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _patched(patch: bytes) -> Iterator[tuple[str, range]]:
    """Each hunk of a patch: the file, and its lines in the new version.

    Where lines are only taken away, those on both sides count: one of them may have lost what made it right.
    """
    name = ""
    lines = iter(patch.split(b"\n"))
    for line in lines:
        if line.startswith(b"+++ "):
            name = "" if line == b"+++ /dev/null" else _unquoted(line[len(b"+++ ") :])
        elif (binary := _BINARY.fullmatch(line)) is not None:
            yield _unquoted(binary[1]), _ALL_LINES
        elif (hunk := _HUNK.match(line)) is not None:
            old, start, new = (int(number or 1) for number in hunk.groups())
            if name:
                yield name, range(start, start + new) if new else range(start, start + 2)
            # A line of the file may look like a header: what belongs to the hunk is skipped, by number.
            for _ in range(old + new):
                next(lines, b"")


def _unquoted(name: bytes) -> str:
    """A path as git prints it: `b/path`, with a tab behind a name that holds spaces, or quoted as in C."""
    if name.startswith(b'"'):
        name = _ESCAPE.sub(_unescaped, name[1:-1])
    else:
        name = name.removesuffix(b"\t")
    return os.fsdecode(name.removeprefix(b"b/"))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    text = escape[1]
    if len(text) == len("000"):
        return bytes([int(text, 8)])
    return bytes([_ESCAPED.get(text[0], text[0])])
