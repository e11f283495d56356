"""fork: the child runs what is published, and publishes into a reservation of its own."""

from __future__ import annotations

import platform
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RESERVATIONS_MAX = 8
# In the processes of these tests: `child(body)` forks, and is true when body() was true in the child, which then ends.
FORKING = """
def child(body):
    pid = os.fork()
    if pid == 0:
        right = False
        try:
            right = body()
        finally:
            os._exit(0 if right else 1)
    return os.waitpid(pid, 0)[1] == 0

def returns(number):
    return bytes.fromhex("f30f1efa b8") + number.to_bytes(4, "little") + b"\\xc3"
"""


@pytest.fixture
def in_parent(in_child: Callable[[str], str]) -> Callable[[str], str]:
    """As in_child, with FORKING."""
    return lambda body: in_child(FORKING + textwrap.dedent(body))


def test_child_runs_both_and_publishes_into_its_own(in_parent: Callable[[str], str]) -> None:
    out = in_parent("""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(4096)
        _, handle, address, _ = core.publish(arena, lib.RETURNS_42)
        parent = core.describe()

        def body():
            before = core.describe()
            stale = core.publish(arena, lib.RETURNS_42)[0], core.retire(handle), core.close_arena(arena)
            status, own = core.open_arena(4096)
            _, code, at, _ = core.publish(own, returns(43))
            info = core.describe()
            outside = not info.code_base <= address < info.code_base + lib.VIEW_BYTES
            return (stale == (lib.STALE,) * 3 and before.writer == 0 and status == lib.OK and outside
                    and (lib.call(address), lib.call(at)) == (42, 43) and core.retire(code) == lib.OK
                    and info.writer == 1 and info.writer_pid != parent.writer_pid and own != arena
                    and core.retire(handle) == lib.STALE and core.open_region() == lib.OK)

        print(child(body), lib.call(address), core.publish(arena, lib.RETURNS_42)[0], core.retire(handle))
    """)
    assert out == "True 42 0 0"


def test_fork_before_opening_has_a_region_of_its_own(in_parent: Callable[[str], str]) -> None:
    out = in_parent("""
        def body():
            assert core.open_region() == lib.OK
            _, arena = core.open_arena(4096)
            return lib.call(core.publish(arena, lib.RETURNS_42)[2]) == 42
        print(child(body), body())
    """)
    assert out == "True True"


def test_nested_forks_at_the_limit_and_one_past(in_parent: Callable[[str], str]) -> None:
    out = in_parent(f"""
        assert core.open_region() == lib.OK
        addresses = []

        def body():
            number = len(addresses)
            status, arena = core.open_arena(4096)
            if number == {RESERVATIONS_MAX}:
                return status == lib.NO_MEMORY and "IL_RESERVATIONS_MAX" in core.failure()[0] and runs()
            addresses.append(core.publish(arena, returns(number))[2])
            return status == lib.OK and runs() and child(body)

        def runs():
            return [lib.call(address) for address in addresses] == list(range(len(addresses)))

        print(body())
    """)
    assert out == "True"


def test_parent_does_not_use_memory_again_while_a_child_may_be_inside(
    in_parent: Callable[[str], str],
) -> None:
    out = in_parent("""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(1 << 20)
        _, first, address, _ = core.publish(arena, lib.RETURNS_42)

        def addresses():
            seen = set()
            for _ in range(100):
                _, handle, at, _ = core.publish(arena, returns(7))
                seen.add(at)
                core.retire(handle)
            return seen

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: grandchildren become ours
        wait, go = os.pipe()
        grandchild_wait, grandchild_go = os.pipe()
        pid = os.fork()
        if pid == 0:
            if os.fork() == 0:
                os.read(grandchild_wait, 1)
                os._exit(0)
            os.read(wait, 1)
            # Retired in the parent: a trap, never other code.
            os._exit(0 if ctypes.string_at(address, 8) == b"\\xcc" * 8 else 1)
        core.retire(first)
        fresh = addresses()
        os.write(go, b"!")
        print(os.waitpid(pid, 0)[1], len(fresh), address in fresh)
        kept = addresses()
        print(len(kept | fresh))
        # The child is gone, but not its own child; when that has ended too, memory is used again.
        os.write(grandchild_go, b"!")
        os.waitpid(-1, 0)
        again = addresses()
        print(len(again) < 10, address in again)
    """)
    assert out == "0 100 False\n200\nTrue True"


def test_memory_is_used_again_when_the_children_are_gone(in_parent: Callable[[str], str]) -> None:
    out = in_parent("""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(1 << 20)
        assert all(child(lambda: True) for _ in range(5))
        seen = set()
        for _ in range(200):
            _, handle, at, _ = core.publish(arena, returns(7))
            seen.add(at)
            core.retire(handle)
        print(len(seen) < 10)
    """)
    assert out == "True"


def test_forks_while_threads_publish(in_parent: Callable[[str], str]) -> None:
    out = in_parent("""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(1 << 20)
        done = False

        def work():
            while not done:
                status, handle, _, _ = core.publish(arena, lib.RETURNS_42)
                assert status == lib.OK
                core.retire(handle)

        def body():
            status, own = core.open_arena(4096)
            return status == lib.OK and lib.call(core.publish(own, returns(9))[2]) == 9

        threads = [threading.Thread(target=work) for _ in range(3)]
        [thread.start() for thread in threads]
        right = [child(body) for _ in range(40)]
        done = True
        [thread.join() for thread in threads]
        print(len(right), all(right))
    """)
    assert out == "40 True"


def test_child_has_no_part_in_the_parents_writer(in_parent: Callable[[str], str]) -> None:
    out = in_parent("""
        assert core.open_region() == lib.OK
        writer = os.pidfd_open(core.describe().writer_pid)
        import select
        ended, end = os.pipe()
        middle = os.fork()
        if middle == 0:
            # This process has the region of its parent's parent, and outlives its own parent.
            os._exit(0) if os.fork() else None
            os.close(ended)
            maps = Path("/proc/self/maps").read_text()
            links = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
            pipes = sum(link.startswith("pipe:") for link in links)
            os.write(end, b"%d %d" % ("interlock-payload" in maps, pipes))
            os._exit(0)
        os.waitpid(middle, 0)
        os.close(end)
        print(os.read(ended, 100).decode(), select.select([writer], [], [], 0)[0] == [])
    """)
    # Standard output and error, which the test reads, and the test's own pipe.
    assert out == "0 3 True"


def test_child_unmaps_nothing_of_an_earlier_fork_handlers(
    in_parent: Callable[[str], str], tmp_path: Path
) -> None:
    # Handlers of a fork run in the order in which they were registered: this one's before the library's, which is loaded later.
    out = in_parent(f"""
        import mmap, shutil
        libc = ctypes.CDLL(None)
        if not hasattr(libc, "__register_atfork"):
            print("no handlers")
            sys.exit()
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
        FIXED_NOREPLACE, place, mapped = 0x100000, [], []

        @ctypes.CFUNCTYPE(None)
        def maps_there():
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | FIXED_NOREPLACE
            mapped.append(libc.mmap(place[0], 4096, mmap.PROT_READ, flags, -1, 0))

        assert getattr(libc, "__register_atfork")(None, None, maps_there, None) == 0
        shutil.copytree(sys.argv[2], {str(tmp_path)!r}, dirs_exist_ok=True)
        core = lib.Core(Path({str(tmp_path)!r}))
        assert core.open_region() == lib.OK
        lines = Path("/proc/self/maps").read_text().splitlines()
        place += [int(line.split("-")[0], 16) for line in lines if "interlock-payload" in line]

        def body():
            lines = Path("/proc/self/maps").read_text().splitlines()
            return mapped == place and any(line.startswith(f"{{place[0]:x}}-") for line in lines)

        print(child(body))
    """)
    if out == "no handlers":
        pytest.skip("needs a C library with __register_atfork")
    assert out == "True"


def test_hardened_process_forks_but_opens_no_region(in_parent: Callable[[str], str]) -> None:
    out = in_parent("""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(4096)
        address = core.publish(arena, lib.RETURNS_42)[2]
        if core.library.il_harden() != lib.OK:
            print("no seccomp")
            sys.exit()
        def body():
            status, _ = core.open_arena(4096)
            return status == lib.UNSUPPORTED and "hardened" in core.failure()[0] and lib.call(address) == 42
        print(child(body), core.publish(arena, lib.RETURNS_42)[0])
    """)
    if out == "no seccomp":
        pytest.skip("needs seccomp")
    assert out == "True 0"


def test_fork_behind_the_c_library_cannot_publish(in_parent: Callable[[str], str]) -> None:
    clone = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
    if clone is None:
        pytest.skip("needs the number of the system call clone")
    out = in_parent(f"""
        assert core.open_region() == lib.OK
        _, arena = core.open_arena(4096)
        _, handle, address, _ = core.publish(arena, lib.RETURNS_42)
        pid = ctypes.CDLL(None).syscall({clone}, int(signal.SIGCHLD), 0, 0, 0, 0)
        if pid == 0:
            statuses = {{core.publish(arena, lib.RETURNS_42)[0], core.retire(handle), core.open_arena(4096)[0], core.open_region()}}
            os._exit(0 if statuses == {{lib.FORKED}} and core.describe().writer == 0 and lib.call(address) == 42 else 1)
        print(os.waitpid(pid, 0)[1], core.publish(arena, lib.RETURNS_42)[0])
    """)
    assert out == "0 0"
