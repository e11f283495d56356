"""`harden_process`: what goes on working, and what does not any more.  Each test in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PRELUDE = """
import ctypes, mmap, os, subprocess, sys, threading
import interlock
engine = interlock.Engine()
interlock.harden_process()
interlock.harden_process()
"""


def _run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_engines_that_are_open_go_on_compiling_publishing_and_trapping() -> None:
    out = _run("""
instance = engine.instantiate(engine.compile_wat('''(module (memory 1 2)
  (func (export "f") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "g") (result i32) (memory.grow (i32.const 1))))'''))
print(instance.exports.f(0), instance.exports.g())
for _ in range(3):
    try:
        instance.exports.f(1 << 20)
    except interlock.Trap as trap:
        print(trap.kind)
with interlock.Region(4096) as region:
    print(region.publish(bytes.fromhex("b807000000c3"), entries={"f": 0}).function("f", "i32()")())
engine.close()
""")

    assert out.splitlines() == ["0 1", *["out of bounds memory access"] * 3, "7"]


@pytest.mark.parametrize(
    "attempt",
    [
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
        "os.memfd_create('x')",
        "os.pidfd_open(os.getpid()) and ctypes.CDLL('libutil.so.1')",
        "subprocess.run(['/bin/true'], check=True)",
    ],
)
def test_new_executable_memory_is_refused_in_every_thread(attempt: str) -> None:
    out = _run(f"""
seen = []
def attempt():
    try:
        {attempt}
        seen.append("allowed")
    except (OSError, subprocess.CalledProcessError):
        seen.append("refused")
attempt()
thread = threading.Thread(target=attempt)
thread.start()
thread.join()
print(*seen)
engine.close()
""")

    assert out == "refused refused\n"


def test_threads_that_run_already_are_hardened_too() -> None:
    out = _run("")
    assert out == ""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import mmap, threading
import interlock
go, seen = threading.Event(), []
def attempt():
    go.wait()
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
        seen.append("allowed")
    except OSError:
        seen.append("refused")
thread = threading.Thread(target=attempt)
thread.start()
interlock.harden_process()
go.set()
thread.join()
print(*seen)
""",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "refused\n"


def test_a_new_engine_says_why_it_cannot_compile() -> None:
    out = _run("""
other = interlock.Engine()
instance = other.instantiate(other.compile_wat('(module (func (export "f")))'))
try:
    instance.exports.f()
except interlock.CompileError as error:
    print(error)
engine.close()
other.close()
""")

    assert "the compiler process died" in out


def test_numpy_works_when_it_was_imported_before() -> None:
    pytest.importorskip("numpy", reason="needs numpy")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import numpy, numpy.linalg, numpy.fft
import interlock
interlock.harden_process()
a = numpy.arange(16.0).reshape(4, 4) + numpy.eye(4)
print(round(float((numpy.linalg.inv(a) @ a).trace())))
print(int(numpy.fft.fft(numpy.ones(8))[0].real))
""",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (0, "4\n8\n"), done.stderr
