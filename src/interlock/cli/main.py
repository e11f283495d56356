"""`interlock`: finds the command, and turns what it raises into one line on stderr and an exit status.

0 done, 1 the answer is no (trap, rejection, invalid program), 2 usage, 3 a bug of ours.  A program that `run` runs to its
end gives its own.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

import interlock
from interlock.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended
_COMMANDS = {
    "run": "compile a WebAssembly program to machine code and run it",
    "build": "compile typed Python, or a .wat text, to a WebAssembly file",
    "dump": "print a stage of the compilation as text",
    "validate": "check machine code or byte-code without running it",
    "cache": "say what compiled code is kept on disk, and remove it",
    "doctor": "try every attack on code memory, and say what protects it here",
    "contract": "what real Macs say about Apple's contract",
    "mac": "what a Mac needs, and what it would do",
    "explain": "say what a rule (V012, C8) means, and show examples",
}
_DESCRIPTION = """\
Compiles WebAssembly to machine code, checks every instruction before it becomes executable, and runs it.
"""
_EPILOG = """\
examples:
  interlock run program.wasm input.txt           a WASI program with an argument; it sees no files
  interlock run --dir .::/ program.wasm a.txt    the same, with this directory as its /
  interlock run --invoke add math.wat 2 3        one exported function
  interlock dump math.wat --stage asm            machine code, with the verdict on each instruction
  interlock validate object.o                    every rule that an object breaks
  interlock doctor                               how code memory is protected on this machine

exit status: 0 done, 1 the answer is no (trap, rejection, invalid program), 2 usage, 3 a bug of ours;
`run` gives that of the program which it ran.  `interlock COMMAND --help` says more.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    _fill_standard_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = _parser(arguments).parse_args(arguments)
    command = importlib.import_module(f"interlock.cli.{args.command}")
    try:
        status: int = command.run(args)
    except BrokenPipeError:
        status = output.EXIT_NO  # whoever read the result has gone, and knows
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except Exception as error:  # noqa: BLE001  (the one place where errors become messages)
        status = output.report_error(error, file=getattr(args, "file", ""))
    return _flush(status)


def _flush(status: int) -> int:
    """Hand the result over; a result that nobody can get is no success."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            output.say(f"interlock: stdout: {error.strerror}")
        # Keep the interpreter from failing once more on its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return status or output.EXIT_NO
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="interlock",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"interlock {interlock.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((each for each in arguments if not each.startswith("-")), "")
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == wanted:
            importlib.import_module(f"interlock.cli.{name}").add_arguments(command)
    return parser


def _fill_standard_streams() -> None:
    """Give closed descriptors 0 to 2 something that fails, before anything of ours takes their numbers.

    A program would otherwise write its output into the pipe to the writer process.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 0 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  (the process's own)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (likewise)
