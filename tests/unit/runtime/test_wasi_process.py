"""Arguments, environment, clocks, random numbers, streams, polling, and the table of functions."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from interlock import limits
from interlock.errors import ClosedError, ExitError
from interlock.runtime.wasi import INHERIT, WASI_FUNCTIONS, Wasi
from interlock.runtime.wasi.abi import Errno, FileType, OpenFlag, Right

from .conftest import Guest, failing, open_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def _strings(guest: Guest, name: str) -> list[bytes]:
    guest.call(f"{name}_sizes_get", 0x100, 0x104)
    count, size = guest.unpack("<II", 0x100)
    guest.call(f"{name}_get", 0x200, 0x1000)
    pointers = guest.unpack(f"<{count}I", 0x200)
    data = bytes(guest.memory[0x1000 : 0x1000 + size])
    return [data[each - 0x1000 :].partition(b"\0")[0] for each in pointers]


def _clock(userdata: int, timeout: int, *, clock: int = 1, flags: int = 0) -> bytes:
    return struct.pack("<QB7xI4xQQH6x", userdata, 0, clock, timeout, 0, flags)


def _ready(userdata: int, fd: int, *, is_write: bool = False) -> bytes:
    return struct.pack("<QB7xI28x", userdata, 2 if is_write else 1, fd)


def _poll(guest: Guest, *subscriptions: bytes) -> list[tuple[int, ...]]:
    """(userdata, errno, kind, nbytes, flags) of each event."""
    guest.put(0x1000, b"".join(subscriptions))
    guest.call("poll_oneoff", 0x1000, 0x8000, len(subscriptions), 0x4000)
    count = guest.unpack("<I")[0]
    return [guest.unpack("<QHB5xQH6x", 0x8000 + 32 * index) for index in range(count)]


# ---- The table -------------------------------------------------------------------------------------------------------


def test_every_function_of_preview_1_is_there(guest: Guest) -> None:
    assert len(WASI_FUNCTIONS) == 46
    assert set(guest.imports) == set(WASI_FUNCTIONS)


def test_negative_integers_are_read_as_unsigned(guest: Guest) -> None:
    with failing(Errno.EBADF):
        guest.call("fd_close", -1)
    assert guest.imports["fd_tell"](-(1 << 31), 0) == Errno.EBADF


def test_wrong_number_of_arguments_is_an_error_of_the_caller(guest: Guest) -> None:
    for args in ((), (1, 2)):
        with pytest.raises(TypeError):
            guest.imports["fd_close"](*args)


def test_every_call_survives_arbitrary_integers(guest: Guest) -> None:
    values = (0, 1, 3, 7, 100, 1 << 20, (1 << 31) - 1, -1)
    for name, signature in WASI_FUNCTIONS.items():
        # These wait or end.
        if name in {"proc_exit", "poll_oneoff"}:
            continue
        count = len(signature.partition(":")[0])
        for value in values:
            assert guest.imports[name](*[value] * count) in range(77)
        for shift in range(8):
            args = [values[(shift + index) % len(values)] for index in range(count)]
            assert guest.imports[name](*args) in range(77)


def test_close_ends_the_functions(guest: Guest) -> None:
    guest.wasi.close()

    with pytest.raises(ClosedError):
        guest.call("sched_yield")


def test_wasi_serves_one_instance_at_a_time(root: Path) -> None:
    wasi = Wasi(preopens={"/": root})
    first = Guest(wasi)
    with pytest.raises(ValueError, match="another instance"):
        Guest(wasi)
    wasi.close()

    second = Guest(wasi)

    second.open("file")
    with pytest.raises(ClosedError):
        first.open("file")
    wasi.close()


def test_directory_that_cannot_be_opened_is_named(root: Path) -> None:
    for host in (root / "missing", root / "file"):
        before = open_descriptors()
        with pytest.raises(OSError, match=host.name):
            Guest(Wasi(preopens={"ok": root, "/": host}))
        assert open_descriptors() == before


# ---- Arguments, environment, clocks ----------------------------------------------------------------------------------


def test_arguments_and_environment_arrive(guest: Guest) -> None:
    assert _strings(guest, "args") == [b"program", b"a b"]
    assert _strings(guest, "environ") == [b"K=V=1"]


def test_nothing_of_the_hosts_environment_is_seen(
    make_guest: Callable[..., Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")

    assert _strings(make_guest(), "environ") == []
    assert _strings(make_guest(), "args") == []


@pytest.mark.parametrize(
    "options",
    [
        {"args": ["a\0b"]},
        {"env": {"": "x"}},
        {"env": {"a=b": "x"}},
        {"env": {"a": "\0"}},
        {"preopens": {"a\0": "."}},
    ],
)
def test_strings_that_cannot_be_handed_over_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"NUL|cannot name"):
        Wasi(**options)


def test_clocks_tell_the_hosts_time(guest: Guest) -> None:
    before = time.time_ns()
    guest.call("clock_time_get", 0, 0, 0x4000)
    assert before <= guest.unpack("<Q")[0] <= time.time_ns()
    for clock in range(4):
        guest.call("clock_res_get", clock, 0x4000)
        assert guest.unpack("<Q")[0] > 0
        guest.call("clock_time_get", clock, 0, 0x4000)
    with failing(Errno.EINVAL):
        guest.call("clock_time_get", 4, 0, 0x4000)
    with failing(Errno.EINVAL):
        guest.call("clock_res_get", -1, 0x4000)


def test_random_fills_exactly_its_buffer(guest: Guest) -> None:
    guest.call("random_get", 0x1000, 64)

    assert any(guest.memory[0x1000:0x1040])
    assert not any(guest.memory[0xF00:0x1000])
    assert not any(guest.memory[0x1040:0x1100])


@pytest.mark.parametrize("status", [0, 1, 42, 255, 256])
def test_exit_raises_the_status(guest: Guest, status: int) -> None:
    with pytest.raises(ExitError) as caught:
        guest.call("proc_exit", status)

    assert caught.value.status == status


def test_what_is_not_there_says_so(guest: Guest) -> None:
    with failing(Errno.ENOSYS):
        guest.call("proc_raise", 9)
    with failing(Errno.ENOTSUP):
        guest.call("sock_shutdown", 1, 0)
    with failing(Errno.EBADF):
        guest.call("sock_accept", 9, 0, 0)


# ---- Streams ---------------------------------------------------------------------------------------------------------


def test_embedders_streams_are_used(make_guest: Callable[..., Guest]) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    guest = make_guest(stdin=io.BytesIO(b"hello world"), stdout=out, stderr=err)

    assert guest.read(0, 3, 2) == b"hello"
    assert guest.read(0, 100) == b" world"
    assert guest.read(0, 100) == b""
    assert guest.write(1, b"a", b"bc") == 3
    assert guest.write(2, b"err") == 3
    assert (out.getvalue(), err.getvalue()) == (b"abc", b"err")


def test_without_streams_input_is_empty_and_output_is_dropped(
    make_guest: Callable[..., Guest],
) -> None:
    guest = make_guest()

    assert guest.read(0, 10) == b""
    assert guest.write(1, b"abc") == 3
    with failing(Errno.ENOTCAPABLE):
        guest.write(0, b"x")
    with failing(Errno.ENOTCAPABLE):
        guest.read(1, 1)
    with failing(Errno.ESPIPE):
        guest.seek(1, 0, 0)


def test_buffered_output_is_flushed_at_the_end(
    make_guest: Callable[..., Guest], tmp_path: Path
) -> None:
    with (tmp_path / "out").open("wb") as stream:
        guest = make_guest(stdout=stream)
        guest.write(1, b"text")
        assert (tmp_path / "out").read_bytes() == b""
        guest.wasi.flush()
        assert (tmp_path / "out").read_bytes() == b"text"
        guest.write(1, b" more")
        guest.wasi.close()
        assert (tmp_path / "out").read_bytes() == b"text more"


@contextlib.contextmanager
def _as_stdout(descriptor: int) -> Iterator[None]:
    """Puts something else at descriptor 1, within a test's body: pytest moves the descriptor around it."""
    saved = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def test_inherited_output_goes_to_the_descriptor(make_guest: Callable[..., Guest]) -> None:
    reading, writing = os.pipe()
    with _as_stdout(writing):
        os.close(writing)
        guest = make_guest(stdout=INHERIT)
        guest.write(1, b"to the ", b"pipe")
        got = os.read(reading, 100)
        os.close(reading)

        with failing(Errno.EPIPE):
            guest.write(1, b"nobody reads")

    assert got == b"to the pipe"


def test_closing_an_inherited_stream_leaves_the_hosts_open(
    make_guest: Callable[..., Guest], tmp_path: Path
) -> None:
    with (tmp_path / "out").open("wb") as out, _as_stdout(out.fileno()):
        guest = make_guest(stdout=INHERIT)
        guest.write(1, b"guest ")
        guest.call("fd_close", 1)
        guest.wasi.close()
        os.write(1, b"host")

    assert (tmp_path / "out").read_bytes() == b"guest host"


def test_inherited_descriptor_that_is_closed_is_bad(make_guest: Callable[..., Guest]) -> None:
    saved = os.dup(1)
    os.close(1)
    try:
        guest = make_guest(stdout=INHERIT)
    finally:
        os.dup2(saved, 1)
        os.close(saved)

    with failing(Errno.EBADF):
        guest.write(1, b"x")


def test_terminal_is_recognisable(make_guest: Callable[..., Guest]) -> None:
    leader, follower = os.openpty()
    with _as_stdout(follower):
        kind, _, base, _ = make_guest(stdout=INHERIT).fdstat(1)
    os.close(leader)
    os.close(follower)

    assert kind == FileType.CHARACTER_DEVICE
    assert not base & (Right.FD_SEEK | Right.FD_TELL)


# ---- Polling ---------------------------------------------------------------------------------------------------------


def test_clock_event_comes_after_its_time(guest: Guest) -> None:
    start = time.monotonic_ns()

    events = _poll(guest, _clock(7, 20_000_000), _clock(8, 3_600_000_000_000))

    assert events == [(7, 0, 0, 0, 0)]
    assert time.monotonic_ns() - start >= 20_000_000


def test_absolute_time_in_the_past_is_at_once(guest: Guest) -> None:
    assert _poll(guest, _clock(1, time.time_ns() - 5, clock=0, flags=1)) == [(1, 0, 0, 0, 0)]


def test_readable_file_tells_how_much(guest: Guest) -> None:
    fd = guest.open("file")

    events = _poll(guest, _ready(1, fd), _ready(2, fd, is_write=True), _clock(3, 10**12))

    assert events == [(1, 0, 1, 7, 0), (2, 0, 2, 0, 0)]


def test_polling_what_cannot_be_polled_is_an_event(guest: Guest) -> None:
    fd = guest.open("file", base=Right.FD_WRITE)

    events = _poll(guest, _ready(1, 99), _ready(2, fd), _ready(3, 3), _clock(4, 0, clock=9))

    assert [(userdata, errno) for userdata, errno, *_ in events] == [
        (1, Errno.EBADF),
        (2, Errno.ENOTCAPABLE),
        (3, Errno.EBADF),
        (4, Errno.EINVAL),
    ]


def test_pipe_becomes_readable(guest: Guest, root: Path) -> None:
    os.mkfifo(root / "pipe")
    fd = guest.open("pipe", base=Right.FD_READ | Right.POLL_FD_READWRITE)
    with (root / "pipe").open("wb", buffering=0) as writer:
        assert [each[0] for each in _poll(guest, _ready(1, fd), _clock(2, 0))] == [2]
        threading.Timer(0.02, lambda: writer.write(b"abc")).start()

        assert _poll(guest, _ready(1, fd)) == [(1, 0, 1, 3, 0)]
        assert guest.read(fd, 10) == b"abc"
    assert _poll(guest, _ready(1, fd))[0][4] == 1


def test_subscriptions_at_the_limit_are_taken(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WASI_SUBSCRIPTIONS_MAX", 3)
    assert len(_poll(guest, *[_clock(1, 0)] * 3)) == 3

    for count in (0, 4, 0xFFFFFFFF):
        with failing(Errno.EINVAL):
            guest.call("poll_oneoff", 0x1000, 0x8000, count, 0x4000)


def test_unknown_subscription_is_invalid(guest: Guest) -> None:
    with failing(Errno.EINVAL):
        _poll(guest, struct.pack("<QB39x", 1, 3))


@pytest.mark.parametrize("subscription", ["clock", "pipe"])
def test_waiting_ends_when_interrupted(root: Path, subscription: str) -> None:
    os.mkfifo(root / "pipe")
    with Wasi(preopens={"/": root}) as wasi:
        guest = Guest(wasi, is_interrupted=lambda: True)
        fd = guest.open("pipe", base=Right.FD_READ | Right.POLL_FD_READWRITE)
        with (root / "pipe").open("wb", buffering=0), failing(Errno.EINTR):
            if subscription == "clock":
                _poll(guest, _clock(1, 10**15))
            else:
                guest.read(fd, 1)


def test_calls_of_several_threads_do_not_mix(guest: Guest) -> None:
    failures: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(200):
                assert guest.imports["fd_close"](1000) == Errno.EBADF
                assert guest.imports["random_get"](0x90000, 16) == 0
        except BaseException as error:  # noqa: BLE001  (handed to the test)
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_new_file_through_a_second_instance_is_seen(root: Path) -> None:
    with Wasi(preopens={"/": root}) as one, Wasi(preopens={"/": root}) as two:
        first, second = Guest(one), Guest(two)
        first.write(first.open("shared", flags=OpenFlag.CREAT), b"x")

        assert second.read(second.open("shared"), 10) == b"x"
