"""The cache on disk: what is put is got, and nothing else, whatever happens to its folder."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from interlock import limits
from interlock.cache import FOLDER_VARIABLE, Cache, default_folder, make_key

KEY, OTHER = make_key(b"one"), make_key(b"other")
DATA = b"machine code, say"
BLOCK = 4096

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make another user's file")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "folder"))


def _entry(cache: Cache, key: bytes = KEY) -> Path:
    return Path(cache.folder) / key.hex()


def _names(cache: Cache) -> list[str]:
    return sorted(each.name for each in Path(cache.folder).iterdir())


def test_what_is_put_is_got(cache: Cache) -> None:
    assert cache.get(KEY) is None

    cache.put(KEY, DATA)
    cache.put(OTHER, b"")

    assert cache.get(KEY) == DATA
    assert cache.get(OTHER) == b""
    cache.put(KEY, b"newer")
    assert cache.get(KEY) == b"newer"
    assert cache.usage().entry_count == 2
    assert cache.usage().size_bytes == 2 * BLOCK


def test_keys_are_made_of_parts_not_of_their_concatenation() -> None:
    assert make_key(b"ab", b"c") != make_key(b"a", b"bc") != make_key(b"abc")


def test_folder_and_entries_are_the_user_s_alone(cache: Cache) -> None:
    before = os.umask(0)
    try:
        cache.put(KEY, DATA)
    finally:
        os.umask(before)

    assert stat.S_IMODE(Path(cache.folder).stat().st_mode) == 0o700
    assert stat.S_IMODE(_entry(cache).stat().st_mode) == 0o600


def test_every_byte_counts(cache: Cache) -> None:
    cache.put(KEY, DATA)
    whole = _entry(cache).read_bytes()

    for at in range(len(whole)):
        _entry(cache).write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        assert cache.get(KEY) is None, at
        assert _names(cache) == []  # what is damaged goes


def test_every_length_counts(cache: Cache) -> None:
    cache.put(KEY, DATA)
    whole = _entry(cache).read_bytes()

    for changed in [whole[:at] for at in range(len(whole))] + [whole + b"\0", b"", whole * 2]:
        _entry(cache).write_bytes(changed)
        assert cache.get(KEY) is None
        assert _names(cache) == []


def test_an_entry_of_another_key_is_none(cache: Cache) -> None:
    cache.put(KEY, DATA)
    _entry(cache).rename(_entry(cache, OTHER))

    assert cache.get(OTHER) is None
    assert _names(cache) == []


def test_a_symbolic_link_is_no_entry(cache: Cache, tmp_path: Path) -> None:
    cache.put(KEY, DATA)
    _entry(cache).rename(tmp_path / "elsewhere")
    _entry(cache).symlink_to(tmp_path / "elsewhere")

    assert cache.get(KEY) is None
    assert _names(cache) == []
    assert (tmp_path / "elsewhere").exists()


def test_a_link_in_the_entry_s_place_is_replaced_not_written_through(
    cache: Cache, tmp_path: Path
) -> None:
    cache.put(OTHER, DATA)
    (tmp_path / "victim").write_bytes(b"precious")
    _entry(cache).symlink_to(tmp_path / "victim")

    cache.put(KEY, DATA)

    assert cache.get(KEY) == DATA
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_what_is_no_file_is_no_entry(cache: Cache) -> None:
    cache.put(OTHER, DATA)
    os.mkfifo(_entry(cache))

    assert cache.get(KEY) is None  # and waits for no writer

    _entry(cache).mkdir()
    assert cache.get(KEY) is None
    cache.put(KEY, DATA)
    assert _names(cache) == sorted([KEY.hex(), OTHER.hex()])


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_may_write_is_not_used(cache: Cache, mode: int) -> None:
    cache.put(KEY, DATA)
    Path(cache.folder).chmod(mode)

    cache.put(OTHER, DATA)

    assert cache.get(KEY) is None
    assert _names(cache) == [KEY.hex()]
    with pytest.raises(PermissionError, match="other users may write"):
        cache.usage()
    with pytest.raises(PermissionError, match="other users may write"):
        cache.clear()


def test_an_entry_that_others_may_write_is_none(cache: Cache) -> None:
    cache.put(KEY, DATA)
    _entry(cache).chmod(0o620)

    assert cache.get(KEY) is None


@needs_root
def test_another_user_s_folder_is_not_used(cache: Cache) -> None:
    cache.put(KEY, DATA)
    os.chown(cache.folder, 1, -1)

    cache.put(OTHER, DATA)

    assert cache.get(KEY) is None
    assert _names(cache) == [KEY.hex()]
    with pytest.raises(PermissionError, match="another user owns"):
        cache.usage()


@needs_root
def test_another_user_s_entry_is_none(cache: Cache) -> None:
    cache.put(KEY, DATA)
    os.chown(_entry(cache), 1, -1)

    assert cache.get(KEY) is None


def test_a_place_that_cannot_be_a_folder_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/interlock")):
        cache = Cache(str(folder))
        cache.put(KEY, DATA)

        assert cache.get(KEY) is None


def test_no_room_on_the_disk_is_no_error(cache: Cache) -> None:
    cache.put(OTHER, DATA)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        cache.put(KEY, bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert _names(cache) == [OTHER.hex()]  # nor is half of it left


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), bytes_max=8 * BLOCK)
    keys = [make_key(bytes([number])) for number in range(20)]
    for age, key in enumerate(keys[:8]):
        cache.put(key, DATA)
        os.utime(_entry(cache, key), (age, age))
    assert cache.get(keys[0]) == DATA  # used now

    cache.put(keys[8], DATA)

    assert cache.get(keys[0]) == cache.get(keys[8]) == DATA
    assert [cache.get(key) for key in keys[1:4]] == [None] * 3
    for key in keys:
        cache.put(key, DATA)
        assert cache.usage().size_bytes <= cache.bytes_max


def test_an_entry_has_a_greatest_size(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_ENTRY_BYTES_MAX", 1000)

    cache.put(KEY, bytes(1000))
    cache.put(OTHER, bytes(1001))

    assert cache.get(KEY) == bytes(1000)
    assert _names(cache) == [KEY.hex()]
    monkeypatch.setattr(limits, "CACHE_ENTRY_BYTES_MAX", 999)
    assert cache.get(KEY) is None


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), bytes_max=BLOCK)

    cache.put(KEY, bytes(BLOCK))
    assert cache.usage().entry_count == 0

    cache.put(KEY, bytes(BLOCK - 48))
    assert cache.usage().entry_count == 1


def test_abandoned_files_go_and_others_stay(cache: Cache) -> None:
    cache.put(KEY, DATA)
    folder = Path(cache.folder)
    (folder / f"{KEY.hex()}.dead").write_bytes(b"")
    os.utime(folder / f"{KEY.hex()}.dead", (0, 0))
    (folder / f"{KEY.hex()}.being-written").write_bytes(b"")
    (folder / "README").write_bytes(b"")

    assert cache.usage().entry_count == 1
    assert _names(cache) == sorted(["README", KEY.hex(), f"{KEY.hex()}.being-written"])

    cache.clear()
    assert _names(cache) == ["README"]
    assert cache.get(KEY) is None


def test_what_is_discarded_is_gone(cache: Cache) -> None:
    cache.put(KEY, DATA)
    cache.discard(KEY)
    cache.discard(OTHER)

    assert cache.get(KEY) is None


_WRITER = """
import sys
from interlock.cache import Cache, make_key
cache = Cache(sys.argv[1], bytes_max=16 * 4096)
for turn in range(150):
    number = turn % 24
    key, data = make_key(bytes([number])), bytes([number]) * 5000
    found = cache.get(key)
    assert found is None or found == data, number
    cache.put(key, data)
"""


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(4)]

    assert [process.wait() for process in processes] == [0] * 4
    assert all("." not in each.name for each in tmp_path.iterdir())
    cache = Cache(str(tmp_path), bytes_max=16 * BLOCK)
    cache.put(KEY, DATA)
    assert cache.usage().size_bytes <= cache.bytes_max


def test_the_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == "/home/user/.cache/interlock"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == "/home/user/.cache/interlock"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/x")
    assert default_folder() == "/var/x/interlock"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == "/home/user/Library/Caches/interlock"
    monkeypatch.setenv(FOLDER_VARIABLE, "/elsewhere")
    assert default_folder() == "/elsewhere"
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert default_folder() is None
