"""Where the C library of Apple's calls for just-in-time compilers is: header, library, pkg-config and CMake files.

    cc my-jit.c $(python -m interlock.apple --cflags --libs) -o my-jit

The library is for Linux; macOS has the calls itself.  docs/explanation/apple-on-linux.md says what it does.
"""

from __future__ import annotations

from pathlib import Path

_PREFIX = Path(__file__).parent / "_native"


def prefix() -> Path:
    """The directory that holds `include` and `lib`."""
    return _PREFIX


def library() -> Path:
    """The library itself."""
    return _PREFIX / "lib" / "libinterlock_apple.so"


def cflags() -> list[str]:
    """What the compiler needs."""
    return [f"-I{_PREFIX / 'include'}"]


def libs() -> list[str]:
    """What the linker needs; the program finds the library where it is now."""
    directory = _PREFIX / "lib"
    return [f"-L{directory}", f"-Wl,-rpath,{directory}", "-linterlock_apple"]


__all__ = ["cflags", "library", "libs", "prefix"]
