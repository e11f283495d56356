"""A cache on disk: bytes by key, in a folder of the user's own, which several processes share.

Entries are untrusted.  A digest tells what was damaged, truncated or belongs to another key from what was written; such an
entry is removed and none.  It is no signature: who can write the folder can write a whole entry, so a folder that another
user owns or may write is not used, and readers parse what they get as hostile (`docs/decisions/0022-the-cache.md`).
A folder that cannot be read or written, and a full disk, are no errors: then nothing is found, or nothing is kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock import limits

try:
    # hashlib loads OpenSSL, which takes longer than a first call of cached code.
    from _blake2 import blake2b
except ImportError:  # an implementation of Python that has it elsewhere
    from hashlib import blake2b

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER_VARIABLE: Final = "INTERLOCK_CACHE_DIR"
"""The variable of the environment that names the folder; empty: nothing is cached."""

_MAGIC: Final = b"interlock cache\0"
_DIGEST_BYTES: Final = 32
_HEAD_BYTES: Final = len(_MAGIC) + _DIGEST_BYTES
_NAME_CHARACTERS: Final = 2 * _DIGEST_BYTES
_BLOCK_BYTES: Final = 4096  # what the smallest file takes
_TOUCHED_SECONDS: Final = (
    3600  # how old the time of the last use may be; and when a half-written file is abandoned
)
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_ENTRY: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE_ENTRY: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def default_folder() -> str | None:
    """Where entries lie: as the environment says, else as the system has it; None: nowhere."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named is not None:
        return named or None
    home = os.path.expanduser("~")  # noqa: PTH111  (start-up time)
    if not os.path.isabs(home):  # noqa: PTH117
        return None
    if sys.platform == "darwin":
        return f"{home}/Library/Caches/interlock"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG Base Directory Specification: relative paths are invalid, and ignored.
    return f"{base if os.path.isabs(base) else f'{home}/.cache'}/interlock"  # noqa: PTH117


def make_key(*parts: bytes) -> bytes:
    """The key of what depends on these, and on nothing else."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a cache holds."""

    entry_count: int
    size_bytes: int  # on disk, in whole blocks


class Cache:
    """A folder of entries; the least recently used ones make room for new ones."""

    def __init__(self, folder: str, *, bytes_max: int = limits.CACHE_BYTES_MAX) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self._room_bytes = 0  # how much is written until sizes are looked at again

    def get(self, key: bytes) -> bytes | None:
        """What was put under a key; None: nothing that can be used."""
        with contextlib.suppress(OSError), self._open() as folder:
            try:
                return _read(key, folder)
            except ValueError:
                os.unlink(key.hex(), dir_fd=folder)
        return None

    def put(self, key: bytes, data: bytes) -> None:
        """Keep bytes under a key, if that is possible."""
        size_bytes = _on_disk(_HEAD_BYTES + len(data))
        if len(data) > limits.CACHE_ENTRY_BYTES_MAX or size_bytes > self.bytes_max:
            return
        with contextlib.suppress(OSError):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)  # noqa: PTH103
            with self._open() as folder:
                self._make_room(folder, size_bytes)
                _write(key.hex(), _MAGIC + _digest(key, data) + data, folder)

    def discard(self, key: bytes) -> None:
        """Forget what its reader could not parse."""
        with contextlib.suppress(OSError), self._open() as folder:
            os.unlink(key.hex(), dir_fd=folder)

    def clear(self) -> None:
        """Remove all entries.  Raises `OSError` if one cannot be removed."""
        with contextlib.suppress(FileNotFoundError), self._open() as folder:
            for name in os.listdir(folder):  # noqa: PTH208  (of a descriptor)
                if _is_entry(name) or _is_half_written(name):
                    _remove(name, folder)

    def usage(self) -> Usage:
        """What it holds now.  Raises `OSError` if the folder cannot be used."""
        sizes: list[int] = []
        with contextlib.suppress(FileNotFoundError), self._open() as folder:
            sizes = [size_bytes for _, size_bytes, _ in _entries(folder)]
        return Usage(entry_count=len(sizes), size_bytes=sum(sizes))

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        """The folder, whatever then becomes of its name.  Raises `OSError`, also if others could have written it."""
        folder = os.open(self.folder, _OPEN_FOLDER)
        try:
            found = os.fstat(folder)
            if found.st_uid != os.geteuid():
                message = "another user owns the folder of the cache"
                raise PermissionError(errno.EPERM, message, self.folder)
            if found.st_mode & _OTHERS_WRITE:
                message = "other users may write the folder of the cache"
                raise PermissionError(errno.EPERM, message, self.folder)
            yield folder
        finally:
            os.close(folder)

    def _make_room(self, folder: int, size_bytes: int) -> None:
        """Keep the bound: each process looks at the sizes when it writes first, and then again each 16th of the bound."""
        self._room_bytes -= size_bytes
        if self._room_bytes >= 0:
            return
        entries = sorted(_entries(folder))
        total = sum(size for _, size, _ in entries) + size_bytes
        if total > self.bytes_max:
            # More than has to go: evicting one by one would look at all sizes each time.
            wanted = max(self.bytes_max * 3 // 4, size_bytes)
            for _, size, name in entries:
                if total <= wanted:
                    break
                _remove(name, folder)
                total -= size
        self._room_bytes = min(self.bytes_max - total, self.bytes_max // 16)


def _digest(key: bytes, data: bytes) -> bytes:
    return blake2b(data, key=key, digest_size=_DIGEST_BYTES).digest()


def _read(key: bytes, folder: int) -> bytes:
    """An entry's bytes.  Raises `OSError`, and `ValueError` for what is no entry of this key."""
    try:
        file = os.open(key.hex(), _OPEN_ENTRY, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a symbolic link
            raise ValueError from error
        raise
    try:
        found = os.fstat(file)
        length = found.st_size - _HEAD_BYTES
        is_ours = found.st_uid == os.geteuid() and not found.st_mode & _OTHERS_WRITE
        is_bounded = 0 <= length <= limits.CACHE_ENTRY_BYTES_MAX
        if not (stat.S_ISREG(found.st_mode) and is_ours and is_bounded):
            raise ValueError
        entry = os.read(file, _HEAD_BYTES + length)
        head, data = entry[:_HEAD_BYTES], entry[_HEAD_BYTES:]
        if head != _MAGIC + _digest(key, data):
            raise ValueError
        now = time.time()
        if now - found.st_mtime > _TOUCHED_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(file, (now, now))
        return data
    finally:
        os.close(file)


def _write(name: str, entry: bytes, folder: int) -> None:
    """Write a file beside and rename it: a reader, or another writer's rename, meets whole entries only."""
    beside = f"{name}.{os.urandom(8).hex()}"
    file = os.open(beside, _MAKE_ENTRY, mode=0o600, dir_fd=folder)
    try:
        try:
            view = memoryview(entry)
            while view:
                view = view[os.write(file, view) :]
        finally:
            os.close(file)
        os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        _remove(beside, folder)
        raise


def _entries(folder: int) -> Iterator[tuple[float, int, str]]:
    """When each was used last, its size on disk, its name; what a writer has abandoned is removed on the way."""
    with os.scandir(folder) as found:
        for each in found:
            if not (_is_entry(each.name) or _is_half_written(each.name)):
                continue
            try:
                status = each.stat(follow_symlinks=False)
            except OSError:  # another process was faster
                continue
            if _is_entry(each.name):
                yield status.st_mtime, _on_disk(status.st_size), each.name
            elif time.time() - status.st_mtime > _TOUCHED_SECONDS:
                _remove(each.name, folder)


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _on_disk(size_bytes: int) -> int:
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


def _is_entry(name: str) -> bool:
    return len(name) == _NAME_CHARACTERS and not set(name) - set("0123456789abcdef")


def _is_half_written(name: str) -> bool:
    stem, dot, _ = name.partition(".")
    return bool(dot) and _is_entry(stem)
