"""`python -m interlock.apple`: prints what a build needs to use the C library."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

from interlock import apple

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG = """\
examples:
  cc my-jit.c $(python -m interlock.apple --cflags --libs) -o my-jit
  cmake -B build -DCMAKE_PREFIX_PATH="$(python -m interlock.apple --prefix)"          find_package(interlock_apple)
  PKG_CONFIG_PATH="$(python -m interlock.apple --prefix)/lib/pkgconfig" pkg-config --cflags --libs interlock_apple
  interlock mac exec --profile macos-arm64-allowlist -- ./my-jit
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was asked for on one line; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m interlock.apple",
        description="Prints where the C library of Apple's calls for just-in-time compilers is.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--cflags", action="store_true", help="options for the compiler")
    parser.add_argument("--libs", action="store_true", help="options for the linker")
    parser.add_argument("--prefix", action="store_true", help="the directory of include and lib")
    args = parser.parse_args(argv)
    if not apple.library().exists():
        print(
            "interlock: this wheel has no library of Apple's calls: it is for Linux",
            file=sys.stderr,
        )
        return 1
    words = [
        *(apple.cflags() if args.cflags else []),
        *(apple.libs() if args.libs else []),
        *([str(apple.prefix())] if args.prefix else []),
    ]
    if not words:
        parser.print_usage(sys.stderr)
        return 2
    print(shlex.join(words))
    return 0


if __name__ == "__main__":
    sys.exit(main())
