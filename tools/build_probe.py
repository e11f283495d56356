"""Builds the probe for a real Mac, on any machine: python tools/build_probe.py OUT aarch64-macos | x86_64-macos | linux

OUT gets `interlock-probe`, the drivers that play the scenarios, and property lists of entitlements; `interlock-probe --sign` prints
the commands that sign them.  `linux` is the same program for this Linux with libinterlock_apple.  docs/explanation/contract.md says
how to run it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the probe's build lies beside its sources

from apple.probe import build

_MACS = {f"{arch}-macos": arch for arch in ("aarch64", "x86_64")}


def main(arguments: list[str]) -> int:
    """Build into the folder that the command line names."""
    folder = Path(*arguments[:1]).resolve()
    match arguments:
        case [_, target] if target in _MACS:
            toolchain = build.macos(_MACS[target])
        case [_, "linux"]:
            toolchain = build.linux(folder / "apple", os.environ.get("CC"))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    print(build.build(folder, toolchain))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
