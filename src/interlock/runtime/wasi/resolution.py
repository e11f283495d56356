"""Finding a path below a directory, component by component, never leaving it.

The kernel is only ever given one name relative to an open directory, and never follows a link for us:

- each directory on the way is opened with `O_NOFOLLOW`, so a link that is put in its place meanwhile fails;
- symbolic links are read and spliced in here, at most `WASI_SYMLINKS_MAX` of them, absolute ones refused;
- `..` returns to the directory through which we came, which stays open, so a rename during the walk changes nothing,
  and above the first directory it is refused.

Links of procfs that lead elsewhere by magic are read as the text which they show, so they lead nowhere.
A name with a slash never reaches the kernel: a trailing slash makes it follow links.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import limits
from interlock.runtime.wasi.abi import Errno, WasiError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Linux: names a directory without opening it for reading, so that search permission is enough, as on a host's own walk.
_O_PATH = getattr(os, "O_PATH", os.O_RDONLY)
_WALK_FLAGS = _O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A name in an open directory; the name has no slash and is not `..`.

    `must_be_directory`: the path ended in a slash.
    """

    directory_fd: int
    name: bytes
    must_be_directory: bool

    def status(self) -> os.stat_result:
        """What is there, a link itself if it is one; ENOTDIR where a directory must be and is not."""
        status = os.stat(self.name, dir_fd=self.directory_fd, follow_symlinks=False)
        if self.must_be_directory and not stat.S_ISDIR(status.st_mode):
            raise WasiError(Errno.ENOTDIR)
        return status


@contextlib.contextmanager
def resolve(directory_fd: int, path: bytes, *, follow: bool) -> Iterator[Place]:
    """The place of a path, valid within the block; what the last component names need not exist.

    `follow` also resolves a link which the last component is.
    """
    walk = _Walk(directory_fd, path)
    try:
        yield walk.run(follow=follow)
    finally:
        walk.close()


class _Walk:
    """The directories from the first down to where we are, and the components still to come."""

    def __init__(self, directory_fd: int, path: bytes) -> None:
        self._opened: list[int] = []
        self._root = directory_fd
        self._pending: list[bytes] = []  # last first
        self._must_be_directory = False
        self._links = 0
        self._prepend(path)

    def run(self, *, follow: bool) -> Place:
        while self._pending:
            name = self._pending.pop()
            if name == b"..":
                self._ascend()
            elif name != b".":
                is_last = not self._pending
                if not is_last:
                    self._descend(name)
                elif not self._splice_link(name, follow=follow or self._must_be_directory):
                    return self._place(name)
        return self._place(b".")

    def close(self) -> None:
        while self._opened:
            os.close(self._opened.pop())

    @property
    def _here(self) -> int:
        return self._opened[-1] if self._opened else self._root

    def _place(self, name: bytes) -> Place:
        return Place(directory_fd=self._here, name=name, must_be_directory=self._must_be_directory)

    def _prepend(self, path: bytes) -> None:
        """Put a path's components in front of those to come."""
        if not path:
            raise WasiError(Errno.ENOENT)
        if path.startswith(b"/"):
            raise WasiError(Errno.EPERM)
        if len(path) > limits.WASI_PATH_BYTES_MAX:
            raise WasiError(Errno.ENAMETOOLONG)
        if not self._pending and path.endswith(b"/"):
            self._must_be_directory = True
        self._pending.extend(part for part in reversed(path.split(b"/")) if part)

    def _ascend(self) -> None:
        if not self._opened:
            raise WasiError(Errno.EPERM)
        os.close(self._opened.pop())

    def _descend(self, name: bytes) -> None:
        if len(self._opened) >= limits.WASI_PATH_DEPTH_MAX:
            raise WasiError(Errno.ENAMETOOLONG)
        try:
            self._opened.append(os.open(name, _WALK_FLAGS, dir_fd=self._here))
        except OSError:
            if not self._splice_link(name, follow=True):
                raise

    def _splice_link(self, name: bytes, *, follow: bool) -> bool:
        """Replace a symbolic link by what it says; False if the name is no link."""
        if not follow:
            return False
        try:
            target = os.readlink(name, dir_fd=self._here)
        except OSError:  # no link, or nothing at all
            return False
        self._links += 1
        if self._links > limits.WASI_SYMLINKS_MAX:
            raise WasiError(Errno.ELOOP)
        self._prepend(target)
        return True
