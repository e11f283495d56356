"""`interlock run`: what the program gets, what comes out, and with which exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Cli

WASI = "wasi_snapshot_preview1"
HELLO = f"""
(module
  (import "{WASI}" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "{WASI}" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "hello\\n")
  (func (export "_start")
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
      (then (call $proc_exit (i32.const 9))))))
"""
ADD = """(module (func (export "plus") (param i32 i32) (result i32)
  (i32.add (local.get 0) (local.get 1))))"""
HELLO_THEN_LOOP = (
    HELLO.replace("(then", "(then) (else")
    .replace("$proc_exit (i32.const 9)", "$spin")
    .replace("(func (export", "(func $spin (loop (br 0)))\n  (func (export")
)
# Writes all its arguments, or its environment, each with its NUL.
STRINGS = """
(module
  (import "%(wasi)s" "%(name)s_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "%(wasi)s" "%(name)s_get" (func $get (param i32 i32) (result i32)))
  (import "%(wasi)s" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 0x100) (i32.const 0x1000)))
    (i32.store (i32.const 0) (i32.const 0x1000))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""
MATH = """
(module
  (memory (export "memory") 1)
  (global (export "g") i32 (i32.const 1))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "half") (param f32) (result f32) (f32.div (local.get 0) (f32.const 2)))
  (func (export "swap") (param i64 f64) (result f64 i64) (local.get 1) (local.get 0))
  (func (export "nothing"))
  (func (export "inf") (result f64) (f64.const inf))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func $div (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "spin") (loop (br 0)))
  (func (export "fail") unreachable))
"""


def _exit(status: int) -> str:
    return f"""(module (import "{WASI}" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (i32.const {status}))))"""


# ---- Commands --------------------------------------------------------------------------------------------------------


def test_program_prints(cli: Cli) -> None:
    cli.write("hello.wat", HELLO)

    done = cli("run", "hello.wat")

    assert (done.status, done.out, done.err) == (0, "hello\n", "")


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_exit_status_is_the_programs(cli: Cli, status: int) -> None:
    cli.write("exit.wat", _exit(status))

    done = cli("run", "exit.wat")

    assert (done.status, done.out, done.err) == (status, "", "")


def test_what_follows_the_file_is_the_programs(cli: Cli) -> None:
    cli.write("args.wat", STRINGS % {"wasi": WASI, "name": "args"})
    args = ["-x", "--help", "--json", "--directory", "", "ä b"]

    for before in ([], ["--"], ["--env", "A=1"]):
        done = cli("run", *before, "args.wat", *args)

        assert done.out.split("\0") == ["args.wat", *args, ""]


def test_a_double_dash_keeps_our_options_for_the_program(cli: Cli) -> None:
    cli.write("args.wat", STRINGS % {"wasi": WASI, "name": "args"})
    args = ["--invoke", "f", "--", "--dir=."]

    for words in (["--", "args.wat", *args], ["args.wat", "--", *args]):
        done = cli("run", *words)

        assert done.out.split("\0") == ["args.wat", *args, ""]


def test_options_may_stand_behind_the_file(cli: Cli) -> None:
    cli.write("add.wat", ADD)

    for words in (
        ["add.wat", "--invoke", "plus", "2", "-3"],
        ["add.wat", "2", "--invoke=plus", "-3", "--timeout", "9"],
        ["--invoke", "plus", "add.wat", "2", "-3", "--max-memory", "64k"],
    ):
        assert cli("run", *words).out == "-1\n"


@pytest.mark.parametrize("option", ["--invoke", "--dir", "--env", "--timeout", "--max-memory"])
def test_an_option_behind_the_file_without_its_value_is_a_mistake(cli: Cli, option: str) -> None:
    cli.write("add.wat", ADD)

    done = cli("run", "add.wat", option)

    assert done.status == 2
    assert option in done.err


def test_environment_is_only_what_was_given(cli: Cli) -> None:
    cli.write("env.wat", STRINGS % {"wasi": WASI, "name": "environ"})

    done = cli("run", "--env", "A=1", "--env", "B=x=y", "env.wat", env={"SECRET": "s"})

    assert done.out == "A=1\0B=x=y\0"


def test_trap_names_kind_and_function(cli: Cli) -> None:
    cli.write("trap.wat", '(module (func $deep unreachable) (func (export "_start") (call $deep)))')

    done = cli("run", "trap.wat")

    assert done.status == 1
    assert done.out == ""
    assert done.err == "interlock: trap: unreachable in function deep\n"


def test_module_without_start_says_what_can_be_called(cli: Cli) -> None:
    cli.write("math.wat", MATH)

    done = cli("run", "math.wat")

    assert done.status == 2
    assert "--invoke" in done.err
    assert "add" in done.err


def test_missing_import_is_named(cli: Cli) -> None:
    cli.write("a.wat", '(module (import "env" "f" (func)) (func (export "_start")))')

    done = cli("run", "a.wat")

    assert done.status == 1
    assert done.err == "a.wat: unknown import env.f\n"


def test_directory_that_does_not_exist_is_usage(cli: Cli) -> None:
    cli.write("hello.wat", HELLO)

    done = cli("run", "--dir", "missing::/", "hello.wat")

    assert done.status == 2
    assert done.err == "interlock: missing: No such file or directory\n"


def test_source_error_is_located_without_a_traceback(cli: Cli) -> None:
    cli.write("bad.wat", "(module\n  (func (result i32)))")

    done = cli("run", "bad.wat")

    assert done.status == 1
    assert done.err.startswith("bad.wat:2:")
    assert "Traceback" not in done.err


def test_closed_output_is_the_programs_to_handle(cli: Cli) -> None:
    cli.write("hello.wat", HELLO)
    command = " ".join(cli.command("run", "hello.wat"))

    done = subprocess.run(
        ["sh", "-c", f"{command} >&-"], cwd=cli.directory, stderr=subprocess.PIPE, check=False
    )

    # The program saw that its write failed; nothing else took descriptor 1.
    assert (done.returncode, done.stderr) == (9, b"")


def test_broken_pipe_is_the_programs_to_handle(cli: Cli) -> None:
    cli.write("hello.wat", HELLO)
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        cli.command("run", "hello.wat"),
        cwd=cli.directory,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (9, b"")


def test_timeout_ends_an_endless_program(cli: Cli) -> None:
    cli.write("loop.wat", '(module (func $spin (export "_start") (loop (br 0))))')

    done = cli("run", "--timeout", "0.2", "loop.wat")

    assert done.status == 1
    assert done.err.startswith("interlock: trap: interrupted")


def test_interrupt_ends_a_program(cli: Cli) -> None:
    cli.write("loop.wat", HELLO_THEN_LOOP)
    # The program prints, then loops: its output says that it runs.
    process = subprocess.Popen(
        cli.command("run", "loop.wat"),
        cwd=cli.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"hello\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()

    # A shell reports this as 130.
    assert process.returncode == -signal.SIGINT
    assert err == b""


# ---- Functions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "out"),
    [
        (("add", "2", "3"), "5\n"),
        (("add", "2", "-3"), "-1\n"),
        (("add", "0x7fffffff", "1"), "-2147483648\n"),
        (("half", "0.2"), "0.1\n"),
        (("swap", "18446744073709551615", "1.5"), "1.5\n-1\n"),
        (("nothing",), ""),
        (("inf",), "inf\n"),
    ],
)
def test_results_are_printed_one_a_line(cli: Cli, args: tuple[str, ...], out: str) -> None:
    cli.write("math.wat", MATH)

    done = cli("run", "--invoke", args[0], "math.wat", *args[1:])

    assert (done.status, done.out, done.err) == (0, out, "")


def test_results_as_json(cli: Cli) -> None:
    cli.write("math.wat", MATH)

    done = cli("run", "--json", "--invoke", "swap", "math.wat", "7", "0.5")

    assert json.loads(done.out) == {
        "function": "swap",
        "results": [{"type": "f64", "value": 0.5}, {"type": "i64", "value": 7}],
    }
    done = cli("run", "--json", "--invoke", "inf", "math.wat")
    assert json.loads(done.out)["results"] == [{"type": "f64", "value": "inf"}]
    assert json.loads(cli("run", "--json", "--invoke", "nothing", "math.wat").out)["results"] == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("frob",), "no exported function 'frob'"),
        (("memory",), "no exported function 'memory'"),
        (("g",), "no exported function 'g'"),
        (("add", "1"), "add takes 2 arguments (i32, i32), not 1"),
        (("add", "1", "x"), "'x' is not a value of type i32"),
        (("add", "1", "4294967296"), "'4294967296' is not a value of type i32"),
    ],
)
def test_call_that_cannot_be_made_is_usage(cli: Cli, args: tuple[str, ...], message: str) -> None:
    cli.write("math.wat", MATH)

    done = cli("run", "--invoke", args[0], "math.wat", *args[1:])

    assert (done.status, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize(
    ("args", "kind"),
    [(("div", "1", "0"), "integer divide by zero"), (("fail",), "unreachable")],
)
def test_trap_of_a_function_is_status_1(cli: Cli, args: tuple[str, ...], kind: str) -> None:
    cli.write("math.wat", MATH)

    done = cli("run", "--invoke", args[0], "math.wat", *args[1:])

    assert (done.status, done.out) == (1, "")
    assert done.err == f"interlock: trap: {kind} in function {args[0]}\n"


def test_memory_grows_to_its_limit_and_not_past_it(cli: Cli) -> None:
    cli.write("math.wat", MATH)

    for pages, result in (("3", "1\n"), ("4", "-1\n")):
        done = cli("run", "--max-memory", "256k", "--invoke", "grow", "math.wat", pages)
        assert (done.status, done.out) == (0, result)


def test_memory_larger_than_its_limit_names_the_limit(cli: Cli) -> None:
    cli.write("math.wat", MATH)

    done = cli("run", "--max-memory", "1k", "--invoke", "add", "math.wat", "1", "2")

    assert done.status == 1
    assert "memory_bytes_max" in done.err


def test_program_sees_only_its_directories(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    probe = f"""(module
      (import "{WASI}" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "probe") (param i32) (result i32)
        (call $prestat (local.get 0) (i32.const 0))))"""
    cli.write("probe.wat", probe)

    without = [cli("run", "--invoke", "probe", "probe.wat", "3").out]
    given = [
        cli("run", "--dir", "data::/d", "--invoke", "probe", "probe.wat", str(fd)).out
        for fd in (3, 4)
    ]

    assert without == ["8\n"]
    assert given == ["0\n", "8\n"]
