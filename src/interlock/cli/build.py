"""`interlock build`."""

from __future__ import annotations

import os
import runpy
import sys
from typing import TYPE_CHECKING

import interlock
from interlock.cli import output, sources
from interlock.errors import CompileError, UnsupportedError

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
A Python file is run, as if it were imported; its functions under @interlock.jit are exported by their names.  Files that end
in .wat are WebAssembly's text format.

examples:
  interlock build kernel.py -o kernel.wasm
  interlock build kernel.py -o kernel.wasm --function dot --function norm
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `build`."""
    parser.epilog = _EPILOG
    parser.add_argument("file", metavar="FILE", help="a .py or .wat file")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="the .wasm file")
    parser.add_argument(
        "--function",
        metavar="NAME",
        action="append",
        help="export this function of a .py file; the default is all that it defines",
    )
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Compile, and write the file."""
    data = _from_python(args.file, args.function) if args.file.endswith(".py") else _from_wat(args)
    with open(args.output, "wb") as stream:
        stream.write(data)
    if args.json:
        output.print_json({"file": args.file, "output": args.output, "bytes": len(data)})
    elif not args.quiet:
        output.say(f"{args.output}: {len(data)} bytes")
    return output.EXIT_DONE


def _from_python(file: str, wanted: list[str] | None) -> bytes:
    sources.read(file)  # a file that cannot be read is said to be so, without a traceback
    name = os.path.splitext(os.path.basename(file))[0]  # noqa: PTH119, PTH122  (not worth importing pathlib)
    sys.path.insert(0, os.path.dirname(file) or ".")  # noqa: PTH120  (as Python does for a script)
    try:
        names_of_file = runpy.run_path(file, run_name=name)
    except Exception as error:  # noqa: BLE001  (whatever the file does)
        message = f"{file} cannot be run: {type(error).__name__}: {error}"
        raise CompileError(message) from None
    found = {
        key: value
        for key, value in names_of_file.items()
        if isinstance(value, interlock.CompiledFunction) and value.__module__ == name
    }
    names = list(found) if wanted is None else wanted
    missing = [each for each in names if each not in found]
    if missing or not names:
        listed = ", ".join(found) or "none"
        message = f"{file} defines no compiled function {', '.join(missing)}".rstrip()
        raise output.UsageError(f"{message}; there are: {listed}")
    return interlock.build_wasm(*(found[each] for each in names))


def _from_wat(args: argparse.Namespace) -> bytes:
    from interlock import bytecode

    data = sources.read(args.file)
    if sources.kind_of(args.file, data) != "wat":
        raise UnsupportedError(f"building from {args.file}; this version takes .py and .wat")
    if args.function is not None:
        raise output.UsageError("--function is for .py files")
    text = sources.decode_text(args.file, data)
    return bytecode.encode(bytecode.validate(bytecode.parse_wat(text, file=args.file)).module)
