"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Replace a file by `data`; whatever happens on the way leaves the old one, and nothing beside it.

    A symbolic link goes on pointing to what is replaced.  It keeps its mode.
    """
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.")
    try:
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), path.stat().st_mode & 0o7777 if path.exists() else 0o644)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105  (a name, not a path of ours)
    except BaseException:
        os.unlink(name)  # noqa: PTH108  (likewise)
        raise
