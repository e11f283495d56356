"""What all commands print alike: results on stdout, everything else on stderr, colour only on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from interlock.errors import (
    ExitError,
    InterlockError,
    InternalError,
    PythonSubsetError,
    SourceError,
    Trap,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

EXIT_DONE = 0
EXIT_NO = 1
EXIT_USAGE = 2
EXIT_BUG = 3

_COLOURS = {"red": "31", "green": "32", "dim": "2"}


class UsageError(Exception):
    """The command line asks for something that cannot be: exit status 2."""


def add_common_arguments(parser: argparse.ArgumentParser, *, has_json: bool = True) -> None:
    """`--json`, `--color` and `-q`."""
    if has_json:
        parser.add_argument("--json", action="store_true", help="print the result as one object")
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto (the default): on a terminal, unless NO_COLOR is set",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but the result")


def print_json(result: Mapping[str, object]) -> None:
    """One object on one line."""
    import json

    print(json.dumps(result, ensure_ascii=False))


def has_colour(args: argparse.Namespace) -> bool:
    """Whether this command may colour its result."""
    if args.color == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return bool(args.color == "always")


def paint(text: str, colour: str, *, is_on: bool) -> str:
    """The text in a colour of a terminal."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if is_on else text


def say(message: str) -> None:
    """One line on stderr."""
    print(message, file=sys.stderr)


def describe_trap(trap: Trap) -> str:
    """`trap: unreachable in function main`."""
    place = f" in function {trap.function}" if trap.function else ""
    return f"trap: {trap.kind}{place}"


def locate(error: SourceError, file: str) -> str:
    """`file:where: message`, also for an error that knows no file or no place."""
    if error.span is None:
        return f"{file}: {error.message}"
    if error.span.file or not file:
        return str(error)
    separator = ":" if error.span.line else ": "
    return f"{file}{separator}{error}"


def report_error(error: Exception, *, file: str) -> int:
    """Say on stderr what went wrong; the exit status that belongs to it."""
    match error:
        case UsageError():
            say(f"interlock: {error}")
            return EXIT_USAGE
        case OSError():
            name = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
            say(f"interlock: {name}{error.strerror or error}")
            return EXIT_USAGE if error.filename is not None else EXIT_NO
        case ExitError():
            return error.status
        case Trap():
            say(f"interlock: {describe_trap(error)}")
            return EXIT_NO
        case PythonSubsetError():
            say(f"interlock: {error}")
            return EXIT_NO
        case SourceError():
            say(locate(error, file))
            return EXIT_NO
        case InternalError():
            say(f"interlock: {error}")
            return EXIT_BUG
        case InterlockError():
            say(f"interlock: {error}")
            return EXIT_NO
    import traceback

    traceback.print_exception(error)
    say("interlock: internal error: please report this, with the lines above")
    return EXIT_BUG
