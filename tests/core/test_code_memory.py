"""Code memory: the writer process, publish, retire, handles, and what happens when something is missing or dies."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.core import core_library as lib
from tools import fuzz_core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SYSCALL = lib.NOP + lib.SYSTEM_CALL + lib.RETURN
RULE_SYSTEM_CALL = 12
RULE_IMAGE_SIZE = 1
_WRITER_LOGIC = ("writer", "arenas", "validate", "validate_x86_64", "validate_aarch64")


@pytest.fixture(scope="module")
def core(core_directory: Path) -> Any:
    found = lib.Core(core_directory)
    assert found.open_region() == lib.OK, found.failure()
    return found


@pytest.fixture
def arena(core: Any) -> Iterator[int]:
    status, handle = core.open_arena(1 << 20)
    assert status == lib.OK
    yield handle
    core.close_arena(handle)


def _view(core: Any, length: int) -> bytes:
    info = core.describe()
    return ctypes.string_at(info.code_base, length) + ctypes.string_at(info.rodata_base, length)


# ---- The writer's logic, in process


@pytest.mark.parametrize("compiler", ["zig", "gcc", "clang"])
def test_writer_logic(repository: Path, tmp_path: Path, compiler: str) -> None:
    if lib.IS_QEMU:
        pytest.skip("needs a compiler under qemu-user: tools/test_aarch64.py does this")
    core = repository / "core"
    if compiler == "zig":
        pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
        found = [sys.executable, "-m", "ziglang", "cc"]
        flags = []
    else:
        path = fuzz_core.find_clang() if compiler == "clang" else shutil.which("gcc")
        if path is None:
            pytest.skip(f"needs {compiler} with its sanitizer libraries")
        found = [path]
        flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    arch = "aarch64" if lib.IS_AARCH64 else "x86_64"
    sources = [
        *(f"src/{name}.c" for name in _WRITER_LOGIC),
        *(f"src/{arch}/arch.c", "src/cache_linux.c"),
    ]
    program = tmp_path / "code_memory_test"
    command = [
        *found,
        "-std=c11",
        "-O1",
        "-Iinclude",
        "-Isrc",
        f"-Isrc/{arch}",
        *warnings,
        *flags,
    ]
    command += ["tests/code_memory_test.c", *sources, "-o", str(program)]
    subprocess.run(command, cwd=core, check=True)

    done = subprocess.run([program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


# ---- Publish and retire


def test_region_reports_how_it_is_held(core: Any) -> None:
    info = core.describe()
    assert info.writer == 1
    assert info.writer_pid not in {0, os.getpid()}
    assert info.has_seals
    assert info.rodata_base - info.code_base == info.view_bytes == lib.VIEW_BYTES


def test_published_code_runs(core: Any, arena: int) -> None:
    status, handle, address, _ = core.publish(arena, lib.RETURNS_42)
    assert status == lib.OK, core.failure()
    assert handle >> 32
    assert lib.call(address) == 42


def test_constants_lie_at_the_fixed_distance(core: Any, arena: int) -> None:
    rodata = bytes(8) + (123456).to_bytes(4, "little")
    status, _, address, verdict = core.publish(
        arena, lib.CONSTANT_8, rodata=rodata, relocations=lib.CONSTANT_8_RELOCATIONS
    )
    assert status == lib.OK, core.library.il_rule_text(verdict.rule)
    assert lib.call(address) == 123456


def test_relocated_call_reaches_the_import(core: Any) -> None:
    callback = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)
    address_of = ctypes.cast(callback, ctypes.c_void_p).value
    status, arena = core.open_arena(1 << 16, (0xDEAD, address_of))
    assert status == lib.OK
    offset, _ = lib.BRANCH
    code = lib.CALL_IMPORT
    status, _, address, verdict = core.publish(arena, code, relocations=((offset, 1),))
    assert status == lib.OK, core.library.il_rule_text(verdict.rule)
    assert lib.call(address) == 7
    assert core.publish(arena, code, relocations=((offset, 2),))[0] == lib.REJECTED
    assert core.close_arena(arena) == lib.OK


def test_rejected_image_writes_nothing(core: Any, arena: int) -> None:
    core.publish(arena, lib.RETURNS_42)
    used = core.describe().code_bytes_used
    before = _view(core, 1 << 16)

    status, handle, address, verdict = core.publish(arena, SYSCALL, rodata=b"\xaa" * 100)

    assert status == lib.REJECTED
    assert (handle, address) == (0, 0)
    assert (verdict.rule, verdict.offset) == (RULE_SYSTEM_CALL, len(lib.NOP))
    assert bytes(verdict.bytes[: verdict.bytes_count]) == lib.SYSTEM_CALL
    assert _view(core, 1 << 16) == before
    assert core.describe().code_bytes_used == used


def test_retired_code_is_poison_and_its_handle_stale(core: Any, arena: int) -> None:
    _, handle, address, _ = core.publish(arena, lib.RETURNS_42)
    assert core.retire(handle) == lib.OK
    assert ctypes.string_at(address, 64) == lib.POISON * (64 // len(lib.POISON))
    assert core.retire(handle) == lib.STALE


def test_closed_arena_is_stale(core: Any) -> None:
    _, arena = core.open_arena(4096)
    _, handle, address, _ = core.publish(arena, lib.RETURNS_42)
    assert core.close_arena(arena) == lib.OK
    assert ctypes.string_at(address, 64) == lib.POISON * (64 // len(lib.POISON))
    assert core.close_arena(arena) == lib.STALE
    assert core.retire(handle) == lib.STALE
    assert core.publish(arena, lib.RETURNS_42)[0] == lib.STALE


def test_memory_is_used_again(core: Any) -> None:
    _, arena = core.open_arena(4096)
    addresses = set()
    for _ in range(500):
        status, handle, address, _ = core.publish(arena, lib.RETURNS_42)
        assert status == lib.OK, core.failure()
        assert lib.call(address) == 42
        addresses.add(address)
        assert core.retire(handle) == lib.OK
    assert core.close_arena(arena) == lib.OK
    assert len(addresses) < 10


def test_quota_at_the_limit_and_one_past(core: Any) -> None:
    _, arena = core.open_arena(128)
    assert core.publish(arena, lib.RETURNS_42)[0] == lib.OK
    assert core.publish(arena, lib.RETURNS_42)[0] == lib.OK
    assert core.publish(arena, lib.RETURNS_42)[0] == lib.NO_MEMORY
    core.close_arena(arena)


def test_full_region_takes_what_was_retired(core: Any) -> None:
    _, arena = core.open_arena(1 << 30)
    big = lib.nops(4 << 20)
    handles = []
    while (found := core.publish(arena, big))[0] == lib.OK:
        handles.append(found[1])
    assert found[0] == lib.NO_MEMORY
    assert len(handles) >= 14
    assert core.retire(handles[0]) == lib.OK
    assert core.publish(arena, big)[0] == lib.OK
    assert core.close_arena(arena) == lib.OK


@pytest.mark.parametrize("extra", [0, 1])
def test_largest_image(core: Any, extra: int) -> None:
    _, arena = core.open_arena(8 << 20)
    code = lib.nops((4 << 20) + extra)
    status, _, _, verdict = core.publish(arena, code, rodata=bytes(4 << 20))
    core.close_arena(arena)
    assert status == (lib.REJECTED if extra else lib.OK)
    assert verdict.rule == (RULE_IMAGE_SIZE if extra else 0)


@pytest.mark.parametrize("count", [256, 257])
def test_most_imports(core: Any, count: int) -> None:
    status, arena = core.open_arena(4096, tuple(range(count)))
    assert status == (lib.OK if count == 256 else lib.INVALID_ARGUMENT)
    assert core.close_arena(arena) == (lib.OK if count == 256 else lib.STALE)


def test_threads_publish_at_once(in_child: Callable[[str], str]) -> None:
    out = in_child("""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(1 << 20)
        results = []
        def work(number):
            code = lib.returns(number)
            for _ in range(50):
                status, handle, address, _ = core.publish(arena, code)
                results.append(status == lib.OK and lib.call(address) == number)
                core.retire(handle)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(results), all(results))
    """)
    assert out == "400 True"


# ---- The writer process


def test_nothing_before_the_region_is_open(in_child: Callable[[str], str]) -> None:
    out = in_child("""
        info = core.describe()
        print(core.open_arena(4096)[0], core.retire(1), info.writer, info.code_base, info.has_seals)
    """)
    assert out == f"{lib.INVALID_ARGUMENT} {lib.INVALID_ARGUMENT} 0 0 False"


@pytest.mark.skipif(
    lib.IS_QEMU, reason="needs clone without SIGCHLD, which qemu-user does not know"
)
def test_application_sees_no_child(in_child: Callable[[str], str]) -> None:
    out = in_child("""
        seen = []
        signal.signal(signal.SIGCHLD, lambda *_: seen.append("SIGCHLD"))
        assert core.open_region() == lib.OK
        try:
            seen.append(os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            seen.append("no child")
        print(*seen)
    """)
    assert out == "no child"


@pytest.mark.skipif(lib.IS_QEMU, reason="needs seccomp, which qemu-user does not know")
def test_writer_holds_nothing_of_the_application(in_child: Callable[[str], str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can look into the writer")
    out = in_child("""
        read_end, _ = os.pipe()
        os.dup2(read_end, 99)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        assert core.open_region() == lib.OK
        core.open_arena(4096)  # answered: the writer is past its set-up
        root = Path("/proc") / str(core.describe().writer_pid)
        status = dict(line.split(":", 1) for line in (root / "status").read_text().splitlines())
        links = sorted(os.readlink(entry).split(":")[0] for entry in (root / "fd").iterdir())
        print(links, (root / "environ").read_bytes(), os.readlink(root / "cwd"))
        print(*(status[key].strip() for key in ("SigBlk", "SigIgn", "NoNewPrivs", "Seccomp")))
        print(signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    """)
    first, second, third = out.splitlines()
    blocked, ignored, *rest = second.split()
    libc_own = 0b11 << 31  # 32 and 33, which posix_spawn ignores and sigaction refuses
    assert (first, rest, third) == ("['pipe', 'pipe'] b'' /", ["1", "2"], "True")
    assert (int(blocked, 16), int(ignored, 16) & ~libc_own) == (0, 0)


def test_no_descriptor_is_left_but_the_pipes(in_child: Callable[[str], str]) -> None:
    out = in_child("""
        before = {"0", "1", "2"}
        assert core.open_region() == lib.OK
        # The descriptor that listed the directory is closed again.
        new = {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")} - before
        print([os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in new])
        print([os.get_inheritable(int(fd)) for fd in new])
    """)
    assert out == "['pipe', 'pipe', 'pipe']\n[False, False, False]"


def test_writer_ends_with_the_application(in_child: Callable[[str], str]) -> None:
    pid = int(in_child("assert core.open_region() == lib.OK; print(core.describe().writer_pid)"))
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    assert select.select([fd], [], [], 30)[0], "the writer still runs"
    os.close(fd)


def test_death_of_the_writer_is_an_error_for_good(in_child: Callable[[str], str]) -> None:
    out = in_child("""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(4096)
        _, handle, address, _ = core.publish(arena, lib.RETURNS_42)
        os.kill(core.describe().writer_pid, signal.SIGKILL)
        print(core.publish(arena, lib.RETURNS_42)[0], core.publish(arena, lib.RETURNS_42)[0])
        print(core.retire(handle), core.open_arena(4096)[0], core.open_region(), core.describe().writer)
        print(lib.call(address))
    """)
    lost = lib.WRITER_LOST
    assert out == f"{lost} {lost}\n{lost} {lost} {lost} 0\n42"


@pytest.mark.parametrize(
    "message",
    ["b'!'", "bytes(56)", "b'\\xff' * 56", "b'\\x01' + b'\\xff' * 4000", "os.urandom(56)"],
)
def test_hostile_requests_end_the_writer_at_most(
    in_child: Callable[[str], str], message: str
) -> None:
    """Somebody in the application writes into the pipe of requests."""
    out = in_child(f"""
        def is_requests(fd):
            try:
                flags = Path("/proc/self/fdinfo/" + fd).read_text().split("flags:")[1].split()[0]
            except FileNotFoundError:
                return False
            return int(flags, 8) & 3 == os.O_WRONLY
        before = set(os.listdir("/proc/self/fd"))
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(4096)
        _, handle, address, _ = core.publish(arena, lib.RETURNS_42)
        requests = min(int(fd) for fd in set(os.listdir("/proc/self/fd")) - before if is_requests(fd))
        os.write(requests, {message})
        statuses = {{core.publish(arena, lib.RETURNS_42)[0] for _ in range(3)}}
        clear = statuses <= {{lib.OK, lib.INVALID_ARGUMENT, lib.WRITER_LOST, lib.PROTOCOL, lib.STALE, lib.REJECTED}}
        views = [line for line in Path("/proc/self/maps").read_text().splitlines() if "interlock-code" in line]
        print(clear, statuses != {{lib.OK}}, lib.call(address), [line.split()[1] for line in views])
    """)
    assert out == "True True 42 ['r-xs']"


_FAKE_WRITER = """\
#!{python}
import fcntl, os, socket, struct
connection = socket.socket(fileno=3)
fds = [os.memfd_create("fake", os.MFD_ALLOW_SEALING) for _ in range(3)]
for fd, size, seals in zip(fds, {sizes}, {seals}):
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
hello = struct.pack("IIii48s", 0x314C4F49, 0, 0, os.getpid(), b"")
socket.send_fds(connection, [hello], fds + list(os.pipe()) + [os.pipe()[0]])
"""
VIEW_SEALS, SIZE_SEALS = 1 | 2 | 4 | 16, 1 | 2 | 4
# sizes and seals of code, rodata and payload
_FAKES = {
    "unsealed": ((lib.VIEW_BYTES,) * 2 + (lib.PAYLOAD_BYTES,), (SIZE_SEALS,) * 3),
    "short": ((lib.VIEW_BYTES, 4096, lib.PAYLOAD_BYTES), (VIEW_SEALS,) * 2 + (SIZE_SEALS,)),
    "small": ((lib.VIEW_BYTES,) * 2 + (4096,), (VIEW_SEALS,) * 2 + (SIZE_SEALS,)),
    "elastic": ((lib.VIEW_BYTES,) * 2 + (lib.PAYLOAD_BYTES,), (VIEW_SEALS,) * 2 + (1,)),
}


@pytest.mark.parametrize(
    ("writer", "status", "operation"),
    [
        ("absent", "SYSTEM", "execve of the writer"),
        ("silent", "SYSTEM", "no sign of life"),
        ("unsealed", "UNSUPPORTED", "not sealed"),
        ("short", "UNSUPPORTED", "another size"),
        ("small", "UNSUPPORTED", "another size"),
        ("elastic", "UNSUPPORTED", "not sealed"),
        ("relative", "INVALID_ARGUMENT", "not absolute"),
    ],
)
def test_bad_writer_is_refused_and_leaves_nothing(
    in_child: Callable[[str], str], tmp_path: Path, writer: str, status: str, operation: str
) -> None:
    path = tmp_path / "writer"
    if writer in _FAKES:
        sizes, seals = _FAKES[writer]
        text = _FAKE_WRITER.format(python=sys.executable, sizes=sizes, seals=seals)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    elif writer == "silent":
        path = Path("/bin/true")
    elif writer == "relative":
        path = Path("interlock-writer")
    out = in_child(f"""
        def state():
            maps = [line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd" in line]
            return sorted(os.listdir("/proc/self/fd")), maps
        before = state()
        print(core.open_region({str(path)!r}), core.failure()[0], sep="|")
        print(state() == before, core.open_region() == lib.OK)
    """)
    first, second = out.splitlines()
    assert first.split("|")[0] == str(getattr(lib, status))
    assert operation in first
    assert second == "True True"
