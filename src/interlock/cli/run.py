"""`interlock run`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import interlock
from interlock.cli import exported, output, sources, values

if TYPE_CHECKING:
    from collections.abc import Iterator

_USAGE = "interlock run [OPTION...] FILE [ARG...]"
_EPILOG = """\
Options stand before FILE; everything after FILE goes to the program as it is.  Without --invoke, FILE is a WASI command:
its _start is called, and its exit status is given back.  The program sees no file unless --dir shows it a directory, and
no variable of the environment unless --env sets one.

examples:
  interlock run program.wasm input.txt
  interlock run --dir data::/ --env LANG=C program.wasm -v /input.txt
  interlock run --timeout 1.5 --max-memory 64m program.wasm
  interlock run --invoke add math.wat 2 -3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `run`."""
    parser.usage, parser.epilog = _USAGE, _EPILOG
    option = parser.add_argument
    option("--invoke", metavar="NAME", help="call this export; ARGs are its arguments")
    option(
        "--dir",
        metavar="HOST[::GUEST]",
        type=values.parse_directory,
        action="append",
        default=[],
        help="show the program a directory, under the name GUEST",
    )
    option(
        "--env",
        metavar="K=V",
        type=values.parse_variable,
        action="append",
        default=[],
        help="set a variable of its environment",
    )
    option(
        "--timeout",
        metavar="S",
        type=values.parse_seconds,
        help="end it with a trap after S seconds",
    )
    option(
        "--max-memory",
        metavar="SIZE",
        type=values.parse_size,
        help="limit of each linear memory, for example 64m",
    )
    output.add_common_arguments(parser)
    option("command_line", metavar="FILE [ARG...]", nargs=argparse.REMAINDER, help="the program")


def run(args: argparse.Namespace) -> int:
    """Compile, instantiate, call."""
    words = args.command_line[1:] if args.command_line[:1] == ["--"] else args.command_line
    if not words:
        message = f"FILE is missing\nusage: {_USAGE}"
        raise output.UsageError(message)
    if args.json and args.invoke is None:
        raise output.UsageError("--json needs --invoke: without it stdout is the program's own")
    args.file, program_args = words[0], words[1:]
    wasi = interlock.Wasi(
        args=[os.path.basename(args.file), *program_args],  # noqa: PTH119  (not worth importing pathlib)
        env=dict(args.env),
        preopens=dict(args.dir),
        stdin=interlock.Wasi.INHERIT,
        stdout=interlock.Wasi.INHERIT,
        stderr=interlock.Wasi.INHERIT,
    )
    with (
        sources.compiled(args.file, _config(args.max_memory)) as module,
        _default_interrupt(),
        module.engine.instantiate(module, wasi=wasi) as instance,
        instance.deadline(args.timeout) if args.timeout else contextlib.nullcontext(),
    ):
        if args.invoke is not None:
            return exported.call(instance, args.invoke, program_args, is_json=args.json)
        if "_start" not in instance.exports:
            message = (
                f"{args.file} exports no _start; --invoke calls one of: {exported.names(instance)}"
            )
            raise output.UsageError(message)
        return instance.run()


def _config(memory_bytes_max: int | None) -> interlock.Config:
    if memory_bytes_max is None:
        return interlock.Config()
    try:
        return interlock.Config(memory_bytes_max=memory_bytes_max)
    except ValueError as error:
        raise output.UsageError(str(error)) from None


@contextlib.contextmanager
def _default_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once: Python would not see it before the program returns."""
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
