"""Writes the kit: a folder that becomes the prefix of a Python on the Mac, with the launcher in its `bin`."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from interlock.kit import claims, launcher

if TYPE_CHECKING:
    from interlock.contract import Linkage
    from interlock.kit.claims import Claim

LAUNCHER: Final = "bin/interlock-launcher"
ENTITLEMENTS: Final = "interlock-launcher.entitlements"
_SCRIPT: Final = "sign.sh"
_GUIDE: Final = "README.md"
_FILES: Final = Path(__file__).parent / "files"
_PROGRAM_MODE, _FILE_MODE = 0o755, 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What was written, and what the launcher turned out to be when it was read back."""

    directory: Path
    files: tuple[str, ...]
    python: str
    linkage: Linkage
    claims: tuple[Claim, ...]


def write_kit(directory: Path, *, python: str, architecture: str = "arm64") -> Kit:
    """Write the kit into a new or an empty directory: all of it, or nothing.

    `python` is where Python's library will be on the Mac: an absolute path, or one that starts with `@executable_path/`.
    Raises `OSError` for a directory that holds something, `ValueError` for another path, and `LimitExceededError`.
    """
    wanted = claims.claims(is_python_foreign=launcher.is_foreign(python))
    program = launcher.launcher_for(architecture, python=python)
    contents = {
        LAUNCHER: program,
        ENTITLEMENTS: claims.property_list(wanted).encode(),
        _SCRIPT: (_FILES / _SCRIPT).read_bytes(),
        _GUIDE: _guide(python, architecture).encode("utf-8", "surrogateescape"),
    }
    _write(directory, contents)
    return Kit(
        directory=directory,
        files=tuple(contents),
        python=python,
        linkage=launcher.check((directory / LAUNCHER).read_bytes(), architecture),
        claims=wanted,
    )


def _guide(python: str, architecture: str) -> str:
    text = Template((_FILES / _GUIDE).read_text(encoding="utf-8"))
    part = "foreign" if launcher.is_foreign(python) else "own"
    placing = (_FILES / f"python-{part}.md").read_text(encoding="utf-8").strip()
    return text.substitute(python=python, architecture=architecture, placing=placing)


def _write(directory: Path, contents: dict[str, bytes]) -> None:
    """Write beside the directory, then rename: who looks sees nothing or all of it."""
    # Not resolved: a symbolic link, wherever it leads, is something that is there.
    directory = Path(os.path.abspath(directory))  # noqa: PTH100  (resolve() would follow the link)
    if directory.is_symlink() or (directory.exists() and not _is_empty(directory)):
        raise _not_empty(directory)
    work = Path(tempfile.mkdtemp(prefix=".interlock-kit-", dir=directory.parent))
    try:
        for name, content in contents.items():
            path = work / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            is_program = name in {LAUNCHER, _SCRIPT}
            path.chmod(_PROGRAM_MODE if is_program else _FILE_MODE)
        work.chmod(_PROGRAM_MODE)
        work.rename(directory)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise _not_empty(directory) from None
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_empty(directory: Path) -> bool:
    return directory.is_dir() and not any(directory.iterdir())


def _not_empty(directory: Path) -> OSError:
    reason = "is there already: the kit goes into a new or an empty folder"
    return OSError(errno.EEXIST, reason, str(directory))
