"""`interlock mac`: what is about Macs, each sub-command in a file of its own."""

from __future__ import annotations

import argparse
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_COMMANDS = ("run", "exec", "kit", "check")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands and their options.  Their files import what they need when they run."""
    parser.epilog = "examples:\n  interlock mac run hello.wasm\n  interlock mac exec --help\n  interlock mac kit --help\n"
    commands = parser.add_subparsers(dest="mac_command", metavar="COMMAND", required=True)
    for name in _COMMANDS:
        module = _module(name)
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY[0].upper() + module.SUMMARY[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    status: int = _module(args.mac_command).run(args)
    return status


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"interlock.cli.mac_{name}")
