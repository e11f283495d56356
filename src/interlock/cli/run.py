"""`interlock run`."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
from typing import TYPE_CHECKING

import interlock
from interlock.cli import exported, output, sources, values

if TYPE_CHECKING:
    from collections.abc import Iterator

_USAGE = "interlock run [OPTION...] FILE [ARG...] [OPTION...] [-- ARG...]"
_OPTIONS = ("--invoke", "--dir", "--env", "--timeout", "--max-memory")
_EPILOG = """\
Everything after FILE goes to the program, except the five options above that have a value; after `--` those too.
Without --invoke, FILE is a WASI command: its _start is called, and its exit status is given back.  The program sees no file unless --dir shows it a directory, and
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
    option("--no-cache", action="store_true", help="compile anew, and keep nothing on disk")
    output.add_common_arguments(parser)
    option("command_line", metavar="FILE [ARG...]", nargs=argparse.REMAINDER, help="the program")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Compile, instantiate, call."""
    words: list[str] = args.command_line
    is_raw = words[:1] == ["--"]
    if not words[is_raw:]:
        message = f"FILE is missing\nusage: {_USAGE}"
        raise output.UsageError(message)
    args.file, *program_args = words[is_raw:]
    if not is_raw:
        options, program_args = split_options(program_args)
        args.parser.parse_args(options, namespace=args)
    if args.json and args.invoke is None:
        raise output.UsageError("--json needs --invoke: without it stdout is the program's own")
    wasi = interlock.Wasi(
        args=[os.path.basename(args.file), *program_args],  # noqa: PTH119  (not worth importing pathlib)
        env=dict(args.env),
        preopens=dict(args.dir),
        stdin=interlock.Wasi.INHERIT,
        stdout=interlock.Wasi.INHERIT,
        stderr=interlock.Wasi.INHERIT,
    )
    with (
        sources.compiled(
            args.file, _config(args.max_memory, is_cached=not args.no_cache)
        ) as module,
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


def split_options(words: list[str]) -> tuple[list[str], list[str]]:
    """Words behind FILE: our options with their values, and what belongs to the program."""
    options: list[str] = []
    rest = iter(words)
    args: list[str] = []
    for word in rest:
        if word == "--":
            args += rest
        elif word in _OPTIONS:
            options += [word, *itertools.islice(rest, 1)]
        elif word.startswith(tuple(f"{option}=" for option in _OPTIONS)):
            options.append(word)
        else:
            args.append(word)
    return options, args


def _config(memory_bytes_max: int | None, *, is_cached: bool) -> interlock.Config:
    if memory_bytes_max is None:
        return interlock.Config(cache=is_cached)
    try:
        return interlock.Config(memory_bytes_max=memory_bytes_max, cache=is_cached)
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
