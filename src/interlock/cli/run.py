"""`interlock run`."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
from typing import TYPE_CHECKING

import interlock
from interlock.cli import output, sources, values

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
            return _invoke(instance, args.invoke, program_args, is_json=args.json)
        if "_start" not in instance.exports:
            message = f"{args.file} exports no _start; --invoke calls one of: {_names(instance)}"
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


def _names(instance: interlock.Instance) -> str:
    return ", ".join(name for name in instance.exports if callable(instance.exports[name])) or "-"


def _invoke(instance: interlock.Instance, name: str, texts: list[str], *, is_json: bool) -> int:
    function = instance.exports.get(name)
    if not callable(function):
        message = f"there is no exported function {name!r}; there are: {_names(instance)}"
        raise output.UsageError(message)
    params, results = _signature(instance, name)
    found = function(*values.parse_arguments(name, params, texts))
    sys.stdout.flush()
    given = [] if not results else list(found) if isinstance(found, tuple) else [found]
    pairs = list(zip(results, given, strict=True))
    if is_json:
        listed = [{"type": kind, "value": _json_value(kind, value)} for kind, value in pairs]
        output.print_json({"function": name, "results": listed})
    else:
        for kind, value in pairs:
            print(values.format_result(kind, value))
    return output.EXIT_DONE


def _signature(instance: interlock.Instance, name: str) -> tuple[list[str], list[str]]:
    validated = instance.module.validated
    index = next(each.index for each in validated.module.exports if each.name == name)
    func_type = validated.func_type(index)
    params, results = (
        [kind.name.lower() for kind in side] for side in (func_type.params, func_type.results)
    )
    return params, results


def _json_value(kind: str, value: object) -> object:
    """JSON has no infinities and no NaN: these are strings."""
    if isinstance(value, float):
        return float(values.format_result(kind, value)) if math.isfinite(value) else repr(value)
    return value if isinstance(value, int) else repr(value)
