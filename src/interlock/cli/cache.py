"""`interlock cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.cache import FOLDER_VARIABLE, Cache, default_folder
from interlock.cli import output

if TYPE_CHECKING:
    import argparse

_EPILOG = f"""\
Compiled code that `interlock run` and @interlock.jit(cache=True) keep for later processes.  {FOLDER_VARIABLE} names another
folder; set to nothing, it turns the cache off.  What is read from there is checked like all other code.

examples:
  interlock cache
  interlock cache --clear
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cache`."""
    parser.epilog = _EPILOG
    parser.add_argument("--clear", action="store_true", help="remove all entries")
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the folder and what it holds."""
    folder = default_folder()
    if folder is None:
        output.say("interlock: there is no cache")
        return output.EXIT_NO
    cache = Cache(folder)
    if args.clear:
        cache.clear()
    usage = cache.usage()
    if args.json:
        output.print_json(
            {
                "folder": folder,
                "entries": usage.entry_count,
                "bytes": usage.size_bytes,
                "bytes_max": cache.bytes_max,
            }
        )
    else:
        print(
            f"{folder}: {usage.entry_count} entries, {usage.size_bytes >> 10} KiB"
            f" of at most {cache.bytes_max >> 20} MiB"
        )
    return output.EXIT_DONE
