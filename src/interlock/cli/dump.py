"""`interlock dump`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import interlock
from interlock.cli import output, sources
from interlock.target import TARGETS

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
stages:
  wat       the module in WebAssembly's text format
  llvm      LLVM's intermediate representation, as our lowering makes it
  llvm-opt  the same after LLVM's optimiser
  asm       the linked machine code: offset, bytes, instruction, and the code validator's verdict beside it

examples:
  interlock dump program.wasm --stage wat
  interlock dump math.wat --stage asm --function add
  interlock dump math.wat --stage asm --target aarch64-linux
"""
_STAGES = ("wat", "llvm", "llvm-opt", "asm")
_VERDICT = re.compile(r"(?P<ok>(?<=\s)ok$)|(?P<refused>(?<=\s)V\d{3} .*$)", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dump`."""
    parser.epilog = _EPILOG
    parser.add_argument("file", metavar="FILE", help="a .wasm or .wat file")
    parser.add_argument("--stage", choices=_STAGES, required=True, help="which stage")
    parser.add_argument(
        "--function", metavar="NAME|INDEX", help="only this function; the default is all"
    )
    parser.add_argument(
        "--target", choices=tuple(TARGETS), help="the machine; the default is this one"
    )
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Compile as far as the stage, and print it."""
    if args.function is not None and args.stage == "wat":
        raise output.UsageError(
            "--function selects machine code or LLVM IR; wat is the whole module"
        )
    if args.target is not None and args.stage == "wat":
        raise output.UsageError("--target selects machine code or LLVM IR; wat is for all")
    with sources.compiled(args.file) as module:
        text = interlock.dump(module, stage=args.stage, function=args.function, target=args.target)
    if args.json:
        output.print_json({"file": args.file, "stage": args.stage, "text": text})
        return output.EXIT_DONE
    if args.stage == "asm" and output.has_colour(args):
        text = _VERDICT.sub(_paint_verdict, text)
    print(text.rstrip("\n"))
    return output.EXIT_DONE


def _paint_verdict(verdict: re.Match[str]) -> str:
    return output.paint(verdict[0], "green" if verdict["ok"] else "red", is_on=True)
