"""The launcher's files, one for each architecture, and the place in them that names Python's library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from interlock import limits
from interlock.contract import Linkage, read_linkage
from interlock.contract.allow_list import LIST_SECTION
from interlock.errors import InternalError, LimitExceededError

ARCHITECTURES: Final = ("arm64", "x86_64")
CORE_LIBRARY: Final = "@rpath/libinterlock.dylib"
RELATIVE: Final = "@executable_path/"
_PYTHON_SECTION: Final = "__TEXT,__il_python"
_NATIVE: Final = Path(__file__).parent / "_native"
# C9 and F3: what kills a process that has the allow-list without freeze-late.
_KILLING: Final = frozenset(
    {"_pthread_jit_write_protect_np", "_pthread_jit_write_freeze_callbacks_np"}
)


def is_foreign(python: str) -> bool:
    """Whether Python's library lies outside the kit, so that the kit's commands do not sign it."""
    return not python.startswith(RELATIVE)


def launcher_for(architecture: str, *, python: str) -> bytes:
    """The launcher that loads this library: an absolute path on the Mac, or one that starts with `@executable_path/`.

    Its signature is no longer valid: it is to be signed.  Raises `ValueError` for another path, and `LimitExceededError`.
    """
    if not python.startswith(("/", RELATIVE)) or "\0" in python:
        message = (
            f"the Python library {python!r} is neither an absolute path nor starts with {RELATIVE}"
        )
        raise ValueError(message)
    path = os.fsencode(python)
    if len(path) > limits.LAUNCHER_PYTHON_BYTES_MAX:
        raise LimitExceededError(
            limit="LAUNCHER_PYTHON_BYTES_MAX",
            value=len(path),
            maximum=limits.LAUNCHER_PYTHON_BYTES_MAX,
        )
    data = bytearray((_NATIVE / f"interlock-launcher-{architecture}").read_bytes())
    section = check(bytes(data), architecture).sections[_PYTHON_SECTION]
    start, end = section.offset, section.offset + section.size_bytes
    data[start:end] = path.ljust(section.size_bytes, b"\0")
    return bytes(data)


def check(data: bytes, architecture: str) -> Linkage:
    """What the launcher must be for the core's list to count, read from its bytes (C9, C18, C19, F3)."""
    (found,) = read_linkage(data)
    room = found.sections.get(_PYTHON_SECTION)
    wrong = {
        "another architecture": found.architecture != architecture,
        "does not load the core at its start": CORE_LIBRARY not in found.libraries,
        "has a list of its own": LIST_SECTION in found.sections,
        "imports a call that kills it": bool(found.imports & _KILLING),
        "no room for the name of Python's library": room is None
        or room.size_bytes != limits.LAUNCHER_PYTHON_BYTES_MAX + 1,
    }
    if any(wrong.values()):
        raise InternalError(
            stage="kit", detail="launcher: " + ", ".join(text for text in wrong if wrong[text])
        )
    return found
