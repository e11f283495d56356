"""Every call of the C library that the core and the writer make fails in turn, and the writer dies at every one of its own.

The calls are taken from the objects' undefined symbols: what is not in calls.txt fails the test, so that none can be forgotten.
"""

from __future__ import annotations

import concurrent.futures
import errno
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "core"
SECONDS_MAX = 60  # of one run: longer is a deadlock
DIE = -1
# struct faults: header, counts, calls of the two sorts of processes
_CALLS_MAX = 1000
_STATE = struct.Struct(f"=IIIiiI2I{2 * _CALLS_MAX}H")
_OWNER_COUNT, _FIRST_CALL = 6, 8
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A line of calls.txt."""

    result: str
    errors: tuple[int, ...]


def read_calls() -> dict[str, Call]:
    """calls.txt by name."""
    calls = {}
    for line in (HERE / "calls.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, result, *rest = line.split()
            errors = tuple(getattr(errno, each) for each in rest) if result != "never" else ()
            calls[name] = Call(result=result, errors=errors)
    return calls


CALLS = read_calls()
_WRAPPED = [name for name, call in CALLS.items() if call.errors]


def wrappers() -> str:
    """The wrappers as C, each with six integer parameters: no function of the list has others."""
    names = ", ".join(f'"{name}"' for name in _WRAPPED)
    lines = [
        "#include <errno.h>",
        "#include <stddef.h>",
        "#include <sys/syscall.h>",
        '#include "faults.h"',
        f"const char *const fault_names[] = {{{names}, NULL}};",
    ]
    for index, name in enumerate(_WRAPPED):
        # A descriptor is gone, whatever close returns; so is a child that somebody else has waited for, and a timer of ours.
        is_done = name in {"close", "closedir", "waitpid"}
        condition = (
            "" if is_done else "if (a == SYS_timer_delete) " if name == "syscall" else "if (0) "
        )
        before = f"{condition}(void)__real_{name}(a, b, c, d, e, f); "
        failed = {
            "-1": "errno = error; return -1;",
            "null": "errno = error; return 0;",
            "number": "return error;",
        }[CALLS[name].result]
        lines += [
            f"long __real_{name}(long a, long b, long c, long d, long e, long f);",
            f"long __wrap_{name}(long a, long b, long c, long d, long e, long f);",
            f"long __wrap_{name}(long a, long b, long c, long d, long e, long f) {{",
            f"    const int error = fault_next({index});",
            f"    if (error == 0) return __real_{name}(a, b, c, d, e, f);",
            f"    {before}{failed}",
            "}",
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The two programs, and what their parts need of the C library."""

    scenario: Path
    writer: Path
    symbols: frozenset[str]


def _gcc(*arguments: str | Path) -> None:
    command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", *map(str, arguments)]
    done = subprocess.run(command, cwd=CORE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _undefined(objects: list[Path]) -> frozenset[str]:
    listing = subprocess.run(["nm", *map(str, objects)], capture_output=True, text=True, check=True)
    lines = [line.split() for line in listing.stdout.splitlines() if line.strip()]
    undefined = {line[1] for line in lines if line[0] == "U" and len(line) == 2}
    defined = {line[2] for line in lines if len(line) == 3}
    return frozenset(undefined - defined - {"_GLOBAL_OFFSET_TABLE_"})


def _build(work: Path, sanitize: tuple[str, ...]) -> Programs:
    sys.path.insert(0, str(CORE))
    try:
        import build
    finally:
        sys.path.remove(str(CORE))
    target = build.TARGETS[f"{platform.machine()}-linux"]
    include = ["-Iinclude", "-Isrc", f"-Isrc/{target.arch}", "-Isrc/linux", f"-I{HERE}"]
    (work / "wrappers.c").write_text(wrappers(), encoding="utf-8")
    wrap = [f"-Wl,--wrap={name}" for name in _WRAPPED]
    faults = [HERE / "faults.c", work / "wrappers.c"]
    symbols: frozenset[str] = frozenset()
    made = {}
    for program in target.programs:
        if program.name not in {"libinterlock.so", "interlock-writer"}:
            continue
        flags = sanitize if program.name == "libinterlock.so" else ()
        objects = []
        for source in build.sources_of(program, target):
            objects.append(work / f"{program.name}-{source.replace('/', '-')}.o")
            _gcc(*flags, *include, "-c", source, "-o", objects[-1])
        # Of what the sanitizers add, nothing is a call of ours.
        symbols |= {
            name for name in _undefined(objects) if not name.startswith(("__asan", "__ubsan"))
        }
        mains = [HERE / "scenario.c"] if program.name == "libinterlock.so" else []
        made[program.name] = work / program.name.replace(".so", "-scenario")
        _gcc(
            *flags, *include, *mains, *faults, *objects, *wrap, "-pthread", "-o", made[program.name]
        )
    return Programs(
        scenario=made["libinterlock.so"], writer=made["interlock-writer"], symbols=symbols
    )


def _needs() -> None:
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        pytest.skip("needs gcc and nm")
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux")


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    _needs()
    # A short path: it stands in a #! line.
    with tempfile.TemporaryDirectory(prefix="il-") as work:
        yield _build(Path(work), ())


@pytest.fixture(scope="module")
def sanitized() -> Iterator[Programs]:
    """The same; the core's side, not the writer's, whose filter lets no sanitizer report."""
    _needs()
    with tempfile.TemporaryDirectory(prefix="il-") as work:
        yield _build(Path(work), SANITIZE)


def _run(
    programs: Programs,
    writer: Path,
    mode: str,
    number: int = 0,
    error: int = 0,
    whose: str = "owner",
) -> list[list[str]]:
    """One run of the scenario; the calls it made."""
    command = [str(programs.scenario), str(writer), mode, str(number), str(error), whose]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    what = f"{mode}, call {number} of {whose}: {errno.errorcode.get(error, error)}"
    assert done.returncode == 0, f"{what}\n{done.stderr}"
    return [line.split() for line in done.stdout.splitlines()]


def _writer(programs: Programs, name: str, number: int = 0, error: int = 0) -> tuple[Path, Path]:
    """A writer whose number-th call fails: the program to start, and the file that tells what it did."""
    folder = programs.writer.parent
    state, script = folder / f"{name}.faults", folder / f"{name}.writer"
    state.write_bytes(_STATE.pack(1, 0, number, error, 0, 0, *[0] * (2 + 2 * _CALLS_MAX)))
    script.write_text(f"#!{programs.writer} {state}\n", encoding="utf-8")
    script.chmod(0o755)
    return script, state


def _calls_of(state: Path) -> list[str]:
    values = _STATE.unpack(state.read_bytes())
    calls = values[_FIRST_CALL : _FIRST_CALL + values[_OWNER_COUNT]]
    return [_WRAPPED[index] for index in calls]


def _in_turn(jobs: list[tuple[object, ...]]) -> None:
    """All of them, two at a time; all that fails is the test's failure."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(*job) for job in jobs]  # type: ignore[arg-type]
        failures = [future.exception() for future in futures]
    texts = [str(failure) for failure in failures if failure is not None]
    assert not texts, "\n".join([f"{len(texts)} of {len(jobs)}", *texts[:20]])


def test_every_call_is_in_the_list_and_every_line_is_a_call(programs: Programs) -> None:
    assert sorted(programs.symbols - CALLS.keys()) == []
    assert sorted(set(_WRAPPED) - programs.symbols) == []


def _fail_core(programs: Programs, mode: str) -> None:
    made = _run(programs, programs.writer, mode)
    assert len(made) > 100
    _in_turn(
        [
            (_run, programs, programs.writer, mode, int(number), error, whose)
            for whose, number, name in made
            for error in CALLS[name].errors
        ]
    )


@pytest.mark.parametrize("mode", ["first", "forked"])
def test_every_call_of_the_core_fails_in_turn(programs: Programs, mode: str) -> None:
    _fail_core(programs, mode)


def test_every_call_of_the_core_fails_in_turn_under_sanitizers(sanitized: Programs) -> None:
    _fail_core(sanitized, "first")


def _fail_writer(programs: Programs, number: int, error: int) -> None:
    writer, state = _writer(programs, f"{number}.{error}", number, error)
    _run(programs, writer, "first", error=error, whose="others")
    # is_done: the call was made, and failed.
    assert _STATE.unpack(state.read_bytes())[5] == 1, f"call {number} of the writer was not made"


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """What is started here stays on one CPU: a writer follows its application to another with one more call."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_cpu")
def test_every_call_of_the_writer_fails_in_turn(programs: Programs) -> None:
    writer, state = _writer(programs, "none")
    _run(programs, writer, "first", whose="others")
    calls = _calls_of(state)
    assert {"mmap", "read", "write"} <= set(calls)
    _in_turn(
        [
            (_fail_writer, programs, number, error)
            for number, name in enumerate(calls, 1)
            for error in CALLS[name].errors
        ]
    )


@pytest.mark.usefixtures("one_cpu")
def test_writer_dies_at_every_step(programs: Programs) -> None:
    writer, state = _writer(programs, "none")
    _run(programs, writer, "first", whose="others")
    _in_turn(
        [(_fail_writer, programs, number, DIE) for number in range(1, len(_calls_of(state)) + 1)]
    )
