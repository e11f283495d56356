"""Attacks on code memory by the application itself, as an ordinary user.

python attacks.py LIBRARY_DIRECTORY ATTACK sealed|control

`sealed` attacks published code; `control` attacks memory that another process shares with this one and that nobody sealed, where
the attack must succeed: so a failure means that the memory is protected, not that the attack is wrong.  Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parent))
import core_library as lib

if TYPE_CHECKING:
    from collections.abc import Callable

ORDINARY_USER: Final = 65534
PAGE: Final = 4096
# What an attacker wants to see executed.
PAYLOAD: Final = bytes.fromhex("f30f1efa b8 66000000 c3")
READ, WRITE, EXEC = 1, 2, 4
SHARED, PRIVATE, FIXED, ANONYMOUS = 1, 2, 16, 32
SYS_PTRACE, SYS_REMAP_FILE_PAGES, SYS_PKEY_MPROTECT, SYS_PIDFD_GETFD = 101, 216, 329, 438
MADV_DONTNEED, MADV_REMOVE = 4, 9
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_void_p,
]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.syscall.argtypes = [ctypes.c_long] * 7
libc.process_vm_writev.argtypes = [
    ctypes.c_int,
    *([ctypes.c_void_p, ctypes.c_ulong] * 2),
    ctypes.c_ulong,
]
FAILED: Final = ctypes.c_void_p(-1).value


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is attacked: a page of each view, their size, and the process that may write them."""

    code: int
    rodata: int
    view_bytes: int
    writer: int


class AttackFailed(Exception):  # noqa: N818 - not an error: it is what should happen
    """The system refused."""


def require(claim: object, what: str) -> None:
    """The attack goes on only if this step succeeded."""
    if not claim:
        raise AttackFailed(f"{what}: {os.strerror(ctypes.get_errno())}")


def protect(address: int, protection: int) -> None:
    require(libc.mprotect(address, PAGE, protection) == 0, "mprotect")
    if protection & WRITE:
        ctypes.memmove(address, PAYLOAD, len(PAYLOAD))


def unmap(address: int) -> None:
    require(libc.munmap(address, PAGE) == 0, "munmap")


def map_over(address: int) -> None:
    found = libc.mmap(address, PAGE, READ | WRITE | EXEC, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    require(found == address, "mmap")
    ctypes.memmove(address, PAYLOAD, len(PAYLOAD))


def room(size: int = PAGE) -> int:
    found = libc.mmap(None, size, READ | WRITE | EXEC, PRIVATE | ANONYMOUS, -1, 0)
    require(found != FAILED, "mmap of room")
    return int(found)


def move_away(address: int) -> None:
    maymove, fixed = 1, 2
    found = libc.mremap(address, PAGE, PAGE, maymove | fixed, room())
    require(found != FAILED, "mremap")


def move_onto(address: int) -> None:
    source = room()
    ctypes.memmove(source, PAYLOAD, len(PAYLOAD))
    require(libc.mremap(source, PAGE, PAGE, 1 | 2, address) == address, "mremap")


def duplicate(address: int) -> None:
    """old_size 0 makes a second mapping of shared memory."""
    found = libc.mremap(address, 0, PAGE, 1, None)
    require(found != FAILED, "mremap of old_size 0")
    protect(int(found), READ | WRITE)


def rotate(address: int) -> None:
    """remap_file_pages: the same mapping shows another page of the file."""
    require(libc.syscall(SYS_REMAP_FILE_PAGES, address, PAGE, 0, 5, 0, 0) == 0, "remap_file_pages")


def advise(address: int, advice: int) -> None:
    require(libc.madvise(address, PAGE, advice) == 0, "madvise")


def pkey_protect(address: int) -> None:
    found = libc.syscall(SYS_PKEY_MPROTECT, address, PAGE, READ | WRITE, -1, 0, 0)
    require(found == 0, "pkey_mprotect")
    ctypes.memmove(address, PAYLOAD, len(PAYLOAD))


def write_file(path: str, address: int) -> None:
    fd = os.open(path, os.O_RDWR)
    require(os.pwrite(fd, PAYLOAD, address) == len(PAYLOAD), "pwrite")


def write_vector(pid: int, address: int) -> None:
    local = ctypes.create_string_buffer(PAYLOAD)
    parts = (ctypes.c_size_t * 4)(ctypes.addressof(local), len(PAYLOAD), address, len(PAYLOAD))
    at = ctypes.addressof(parts)
    sent = libc.process_vm_writev(pid, at, 1, at + 16, 1, 0)
    require(sent == len(PAYLOAD), "process_vm_writev")


def writable_view(pid: int) -> int:
    """Where the other process can write the code's file."""
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        if "rw-s" in line and "memfd" in line:
            return int(line.split("-")[0], 16)
    raise AttackFailed("no writable view in the other process's maps")


def guess_writer(target: Target) -> None:
    """Even an attacker who knows an address in the writer cannot write it: here one that exists in every program."""
    local = ctypes.create_string_buffer(8)
    parts = (ctypes.c_size_t * 4)(ctypes.addressof(local), 1, 0x10000, 1)
    at = ctypes.addressof(parts)
    libc.process_vm_writev(target.writer, at, 1, at + 16, 1, 0)
    # EFAULT would mean: allowed, but nothing there.
    require(ctypes.get_errno() != 1, "process_vm_writev")


def trace(target: Target) -> None:
    attach, detach, poke = 16, 17, 4
    require(libc.syscall(SYS_PTRACE, attach, target.writer, 0, 0, 0, 0) == 0, "PTRACE_ATTACH")
    os.waitpid(target.writer, 0x40000000)
    word = int.from_bytes(PAYLOAD[:8], "little", signed=True)
    at = writable_view(target.writer)
    require(libc.syscall(SYS_PTRACE, poke, target.writer, at, word, 0, 0) == 0, "PTRACE_POKEDATA")
    libc.syscall(SYS_PTRACE, detach, target.writer, 0, 0, 0, 0)


def seize(target: Target) -> None:
    require(libc.syscall(SYS_PTRACE, 0x4206, target.writer, 0, 0, 0, 0) == 0, "PTRACE_SEIZE")


def map_descriptors(directory: str, target: Target) -> None:
    """Map every descriptor that a directory shows, shared and writable."""
    hits = 0
    for path in Path(directory).iterdir():
        for protection in (READ | WRITE, READ | WRITE | EXEC):
            try:
                fd = os.open(path, os.O_RDWR)
                size = os.fstat(fd).st_size
            except OSError:
                continue
            if size < target.view_bytes:
                continue
            at = libc.mmap(None, PAGE, protection, SHARED, fd, 0)
            if at != FAILED:
                hits += 1
                ctypes.memmove(at, PAYLOAD, len(PAYLOAD))
    require(hits, f"no descriptor in {directory} can be mapped writable")


def reopen_map(address: int) -> None:
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span = line.split()[0]
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= address < end:
            fd = os.open(f"/proc/self/map_files/{span}", os.O_RDWR)
            require(libc.mmap(None, PAGE, READ | WRITE, SHARED, fd, 0) != FAILED, "mmap")
            return
    raise AttackFailed("not in the maps")


def steal_descriptor(target: Target) -> None:
    pidfd = os.pidfd_open(target.writer)
    stolen = [libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0, 0, 0, 0) for number in range(16)]
    require(max(stolen) >= 0, "pidfd_getfd")


def in_fork(address: int) -> None:
    """A child has copies of the mappings: they are no weaker."""
    child = os.fork()
    if child == 0:
        try:
            protect(address, READ | WRITE)
        except AttackFailed:
            os._exit(1)
        os._exit(0)
    require(os.waitpid(child, 0)[1] == 0, "mprotect in a forked child")


ATTACKS: Final[dict[str, Callable[[Target], None]]] = {
    "mprotect_code_rw": lambda t: protect(t.code, READ | WRITE),
    "mprotect_code_rwx": lambda t: protect(t.code, READ | WRITE | EXEC),
    "mprotect_rodata_rw": lambda t: protect(t.rodata, READ | WRITE),
    "mprotect_rodata_rwx": lambda t: protect(t.rodata, READ | WRITE | EXEC),
    "mprotect_rodata_rx": lambda t: protect(t.rodata, READ | EXEC),
    "mprotect_code_none": lambda t: protect(t.code, 0),
    "mprotect_in_fork": lambda t: in_fork(t.code),
    "pkey_mprotect": lambda t: pkey_protect(t.code),
    "munmap_code": lambda t: unmap(t.code),
    "munmap_rodata": lambda t: unmap(t.rodata),
    "map_fixed_code": lambda t: map_over(t.code),
    "map_fixed_rodata": lambda t: map_over(t.rodata),
    "mremap_away": lambda t: move_away(t.code),
    "mremap_onto": lambda t: move_onto(t.code),
    "mremap_duplicate_code": lambda t: duplicate(t.code),
    "mremap_duplicate_rodata": lambda t: duplicate(t.rodata),
    "remap_file_pages": lambda t: rotate(t.code),
    "madvise_dontneed": lambda t: advise(t.code, MADV_DONTNEED),
    "madvise_dontneed_rodata": lambda t: advise(t.rodata, MADV_DONTNEED),
    "madvise_remove": lambda t: advise(t.code, MADV_REMOVE),
    "madvise_remove_rodata": lambda t: advise(t.rodata, MADV_REMOVE),
    "proc_self_mem": lambda t: write_file("/proc/self/mem", t.code),
    "proc_self_mem_rodata": lambda t: write_file("/proc/self/mem", t.rodata),
    "process_vm_writev_self": lambda t: write_vector(os.getpid(), t.code),
    "process_vm_writev_writer": lambda t: write_vector(t.writer, writable_view(t.writer)),
    "process_vm_writev_writer_guess": guess_writer,
    "proc_writer_mem": lambda t: write_file(f"/proc/{t.writer}/mem", writable_view(t.writer)),
    "proc_writer_mem_open": lambda t: os.close(os.open(f"/proc/{t.writer}/mem", os.O_RDWR)),
    "proc_writer_maps": lambda t: require(writable_view(t.writer), "maps"),
    "proc_writer_fd": lambda t: map_descriptors(f"/proc/{t.writer}/fd", t),
    "proc_self_fd": lambda t: map_descriptors("/proc/self/fd", t),
    "proc_self_map_files": lambda t: reopen_map(t.code),
    "pidfd_getfd_writer": steal_descriptor,
    "ptrace_attach_writer": trace,
    "ptrace_seize_writer": seize,
}
# The kernel lets this one force its way into private mappings only: their control is private (and the product's views are not).
_PRIVATE: Final = {"proc_self_mem", "proc_self_mem_rodata"}
# Succeeding, these leave the page of code with no bytes to read back.
_UNREADABLE: Final = {"mprotect_code_none", "munmap_code", "munmap_rodata", "mremap_away"}


def drop_privileges() -> None:
    """Become an ordinary user, who may look into his own processes."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
        os.setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
        # Changing the user made this process non-dumpable, so that /proc/self would refuse for the wrong reason.
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def sealed(directory: Path) -> tuple[Target, bool, bool]:
    """Published code: the target, whether the kernel has mseal, whether views are sealed."""
    core = lib.Core(directory)
    drop_privileges()
    require(core.open_region() == lib.OK, str(core.failure()))
    _, arena = core.open_arena(1 << 20)
    status, _, address, _ = core.publish(arena, lib.RETURNS_42, rodata=b"constant")
    require(status == lib.OK and lib.call(address) == 42, str(core.failure()))
    info = core.describe()
    rodata = address + lib.VIEW_BYTES
    target = Target(code=address, rodata=rodata, view_bytes=lib.VIEW_BYTES, writer=info.writer_pid)
    return target, info.has_mseal, info.has_seals


def control(*, is_private: bool) -> tuple[Target, bool, bool]:
    """The same arrangement without any protection."""
    drop_privileges()
    size = 1 << 20
    descriptors = [os.memfd_create(name) for name in ("code", "rodata")]
    for fd in descriptors:
        os.ftruncate(fd, size)
    flags = PRIVATE if is_private else SHARED
    code = libc.mmap(None, size, READ | EXEC, flags, descriptors[0], 0)
    rodata = libc.mmap(None, size, READ, flags, descriptors[1], 0)
    read_end, write_end = os.pipe()
    writer = os.fork()
    if writer == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for fd, content in zip(descriptors, (lib.RETURNS_42, b"constant"), strict=True):
            view = mmap.mmap(fd, size)
            view[: len(content)] = content
        # Keep both views until the parent is gone.
        os.write(write_end, b"x")
        while True:
            signal.pause()
    os.read(read_end, 1)
    require(lib.call(code) == 42, "the control's code")
    return Target(code=code, rodata=rodata, view_bytes=size, writer=writer), False, False


def main() -> int:
    """Attack once and report."""
    directory, name, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    target, has_mseal, has_seals = (
        sealed(directory) if mode == "sealed" else control(is_private=name in _PRIVATE)
    )
    before = ctypes.string_at(target.code, PAGE), ctypes.string_at(target.rodata, PAGE)
    report: dict[str, object] = {
        "has_mseal": has_mseal,
        "has_seals": has_seals,
        "uid": os.geteuid(),
    }
    try:
        ATTACKS[name](target)
        report |= {"succeeded": True, "error": ""}
    except (AttackFailed, OSError) as error:
        report |= {"succeeded": False, "error": str(error)}
    if not (report["succeeded"] and name in _UNREADABLE):
        after = ctypes.string_at(target.code, PAGE), ctypes.string_at(target.rodata, PAGE)
        report |= {"changed": before != after}
        if before == after:
            report |= {"result": lib.call(target.code)}
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
