"""Runs attacks on code memory, each in a process of its own: what `interlock doctor` and the tests try.

`sealed` attacks published code; `control` attacks memory that another process shares with this one and that nobody sealed, where
the attack must succeed: so a failure means that the memory is protected, not that the attack is wrong.  Each attack has a process
of its own, with a region of its own, and prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from interlock.core.attack_steps import (
    ATTACKS,
    BY_OUTSIDER,
    EXEC,
    NEW_MEMORY,
    PAGE,
    PRIVATE,
    READ,
    RETURNS_42,
    SHARED,
    AttackFailed,
    Target,
    libc,
    require,
)

ORDINARY_USER: Final = 65534
VIEW_BYTES: Final = 64 << 20
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
_MAIN: Final = "import sys; sys.path.insert(0, sys.argv[1]); from interlock.core.attacks import main; sys.exit(main())"

# The kernel lets these force their way into private mappings only: their control is private (and the product's views are not).
_PRIVATE: Final = {
    *("proc_self_mem", "proc_self_mem_rodata", "child_proc_mem", "child_ptrace"),
    *("outsider_proc_mem", "outsider_proc_mem_rodata", "outsider_ptrace"),
}
# Succeeding, these leave the page of code with no bytes to read back.
_UNREADABLE: Final = {"mprotect_code_none", "munmap_code", "munmap_rodata", "mremap_away"}
# They drop pages of this process, which the next access brings back.
HARMLESS: Final = {"madvise_dontneed", "madvise_dontneed_rodata"}
# Not attacks on the code region: executable memory of the attacker's own, which only a hardened process is refused.
OUTSIDE_THE_REGION: Final = frozenset(NEW_MEMORY)
# It tells addresses and writes nothing; root may always.
LEAKS: Final = {"proc_writer_maps"}
# What no seal but mseal (Linux 6.10) refuses: the mapping is replaced or dropped, its memory is not written.
NEEDS_MSEAL: Final = {
    *("map_fixed_code", "map_fixed_rodata", "map_fixed_guard", "madvise_guard_and_replace"),
    *("mprotect_code_none", "mprotect_rodata_rx", "mremap_dontunmap"),
    *("mremap_away", "mremap_onto", "munmap_code", "munmap_rodata", "remap_file_pages"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one attack came to."""

    name: str
    uid: int
    has_seals: bool
    has_mseal: bool
    succeeded: bool  # every step of it was allowed
    changed: bool  # bytes of code or constants are others now, or cannot be read any more
    by: str  # the step that was refused, and the system's word for it


def drop_privileges() -> None:
    """Become an ordinary user, who may look into his own processes."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
        os.setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
        # Changing the user made this process non-dumpable, so that /proc/self would refuse for the wrong reason.
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def call(address: int) -> int:
    """Call `int f(void)` at an address."""
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())


def sealed(writer_path: str) -> tuple[Target, bool, bool]:
    """Published code: the target, whether views are sealed, whether the kernel has mseal."""
    from interlock import core
    from interlock.artifacts import CodeImage, CodeOffset
    from interlock.target import X86_64_LINUX_V2, host_target

    core.open_region(writer_path)
    arena = core.Arena({}, code_bytes_max=1 << 20)
    image = CodeImage(
        target=host_target() or X86_64_LINUX_V2,
        code=RETURNS_42,
        rodata=b"constant",
        entries={"f": CodeOffset(0)},
    )
    address = arena.publish(image).base
    _kept.append(arena)
    require(call(address) == 42, "calling the code that is attacked")
    info = core.describe_region()
    target = Target(
        code=address,
        rodata=address + VIEW_BYTES,
        guard=info.code_base - PAGE,
        view_bytes=VIEW_BYTES,
        application=os.getpid(),
        writer=info.writer_pid,
    )
    return target, info.has_seals, info.has_mseal


_kept: list[object] = []


def control(*, is_private: bool) -> tuple[Target, bool, bool]:
    """The same arrangement without any protection."""
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
        for fd, content in zip(descriptors, (RETURNS_42, b"constant"), strict=True):
            view = mmap.mmap(fd, size)
            view[: len(content)] = content
        # Keep both views until the parent is gone.
        os.write(write_end, b"x")
        while True:
            signal.pause()
    os.read(read_end, 1)
    require(call(code) == 42, "the control's code")
    target = Target(
        code=code,
        rodata=rodata,
        guard=code,  # there is none
        view_bytes=size,
        application=os.getpid(),
        writer=writer,
    )
    return target, False, False


class Outsider:
    """Another process of the same user, without the region: forked before there is one, and before hardening."""

    def __init__(self, name: str) -> None:
        order_read, self._order = os.pipe()
        self._answer, answer_write = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._order)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            target = Target(**json.loads(os.read(order_read, 1000)))
            os.write(answer_write, _attempt(name, target).encode())
            os._exit(0)
        os.close(answer_write)

    def attack(self, target: Target) -> str:
        """Have the attack done; what denied it, or nothing."""
        os.write(self._order, json.dumps(asdict(target)).encode())
        os.waitpid(self._child, 0)
        return os.read(self._answer, 1000).decode()


def _attempt(name: str, target: Target) -> str:
    try:
        ATTACKS[name](target)
    except (AttackFailed, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def attack(
    name: str, target: Target, outsider: Outsider | None, *, has_seals: bool, has_mseal: bool
) -> Report:
    """Attack once, in this process or by the outsider.  This process may not survive it."""
    before = ctypes.string_at(target.code, PAGE), ctypes.string_at(target.rodata, PAGE)
    by = _attempt(name, target) if outsider is None else outsider.attack(target)
    changed = not by and name in _UNREADABLE
    if not changed:
        after = ctypes.string_at(target.code, PAGE), ctypes.string_at(target.rodata, PAGE)
        changed = before != after or call(target.code) != 42
    return Report(
        name=name,
        uid=os.geteuid(),
        has_seals=has_seals,
        has_mseal=has_mseal,
        succeeded=not by,
        changed=changed,
        by=by,
    )


def command(writer_path: str, mode: str, user: str, hardening: str, *names: str) -> list[str]:
    """The command line of a process that does these attacks (or all): "sealed" or "control", and so on as `main` has it."""
    package_root = str(Path(__file__).resolve().parents[2])
    return [
        sys.executable,
        "-I",
        "-c",
        _MAIN,
        package_root,
        writer_path,
        mode,
        user,
        hardening,
        *names,
    ]


def main() -> int:
    """Attack in one child after the other, and report."""
    _, writer_path, mode, user, hardening, *names = sys.argv[1:]
    if mode == "sealed":
        # Before the user changes, who may not read them.
        import interlock.core
        import interlock.target

        interlock.target.host_target()
    status = 0
    for name in names or ATTACKS:
        child = os.fork()
        if child == 0:
            os._exit(_attack_and_print(name, writer_path, mode, user, hardening))
        status |= os.waitpid(child, 0)[1] != 0
    return int(status)


def _attack_and_print(name: str, writer_path: str, mode: str, user: str, hardening: str) -> int:
    if user == "ordinary":
        drop_privileges()
    outsider = Outsider(name) if name in BY_OUTSIDER else None
    try:
        if mode == "sealed":
            target, has_seals, has_mseal = sealed(writer_path)
        else:
            target, has_seals, has_mseal = control(is_private=name in _PRIVATE)
        if hardening == "hardened":
            from interlock import core

            core.harden()
        report = attack(name, target, outsider, has_seals=has_seals, has_mseal=has_mseal)
    except Exception as error:  # noqa: BLE001  (the parent is told)
        os.write(2, f"{name}: {type(error).__name__}: {error}\n".encode())
        return 1
    os.write(1, (json.dumps(asdict(report)) + "\n").encode())
    return 0
