"""`interlock mac kit`: what to take to a Mac so that Python can publish code under the allow-list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.cli import output

if TYPE_CHECKING:
    import argparse

SUMMARY = "write a launcher for a Mac, its entitlements, and the commands that sign it"
_EPILOG = """\
examples:
  interlock mac kit app                               Python will be inside the folder app
  interlock mac kit app --python /opt/homebrew/opt/python@3.13/Frameworks/Python.framework/Versions/3.13/Python

OUT must be new or empty.  Works on any machine; nothing of the kit has run on a Mac yet, and its README says how to check it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mac kit`."""
    own = (
        f"@executable_path/../lib/libpython{sys.version_info.major}.{sys.version_info.minor}.dylib"
    )
    parser.epilog = _EPILOG
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder to make")
    parser.add_argument(
        "--python",
        metavar="LIBRARY",
        default=own,
        help=f"where Python's library is on the Mac (default: {own}, inside OUT)",
    )
    parser.add_argument(
        "--arch",
        choices=("arm64", "x86_64"),
        default="arm64",
        help="the Mac's processor (default: arm64; only there is the list enforced)",
    )
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the kit and list it."""
    from interlock import kit

    try:
        made = kit.write_kit(args.out, python=args.python, architecture=args.arch)
    except ValueError as error:
        raise output.UsageError(str(error)) from None
    if args.json:
        output.print_json(
            {
                "directory": str(made.directory),
                "files": list(made.files),
                "architecture": made.linkage.architecture,
                "minimum_macos": made.linkage.minimum_macos,
                "python": made.python,
                "entitlements": [claim.key for claim in made.claims],
            }
        )
        return output.EXIT_DONE
    for name in made.files:
        print(made.directory / name)
    if not args.quiet:
        output.say(f"next: {made.directory / 'README.md'}, on a Mac with macOS 12 or later")
    return output.EXIT_DONE
