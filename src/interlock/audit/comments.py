"""The comments of a text file, for every language that is audited: just enough of each to tell them from strings."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each alternative that can run over the end of a line ends at the end of the file at the latest: what has no end is read once.
_C_LIKE = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?(?:\*/|\Z) )
    | R"(?P<delimiter>[^\s()\\"]{0,16})\(.*?(?:\)(?P=delimiter)"|\Z)   # a raw string of C++
    | \br(?P<hashes>\#{1,8})".*?(?:"(?P=hashes)|\Z)                    # and of Rust
    | "(?:\\.|[^"\\\n])*"?
    | '(?:\\[^\n][^'\n]{0,8}|[^'\\\n])'                                # a character, not a lifetime of Rust
    """,
    re.VERBOSE | re.DOTALL,
)
_HASH = re.compile(
    r"""
      (?P<comment> \#[^\n]* )
    | \"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z)
    | '{3}(?:\\.|[^\\])*?(?:'{3}|\Z)
    | "(?:\\.|[^"\\\n])*"?
    | '(?:\\.|[^'\\\n])*'?
    """,
    re.VERBOSE | re.DOTALL,
)
_MARKUP = re.compile(r"(?P<comment><!--.*?(?:-->|\Z))|<!\[CDATA\[.*?(?:\]\]>|\Z)", re.DOTALL)

_FAMILIES: Final = (
    (
        _C_LIKE,
        ".c .h .cc .cpp .cxx .c++ .hh .hpp .hxx .h++ .ipp .inl .inc .m .mm .rs .swift .zig .js .mjs .ts .dasc .pbxproj .xcconfig",
    ),
    (
        _HASH,
        ".py .pyi .pyx .pxd .spec .toml .yml .yaml .sh .bash .zsh .cmake .mk .rb .cfg .ini .bzl CMakeLists.txt Makefile",
    ),
    (_MARKUP, ".plist .entitlements .xml .html .storyboard .xib"),
)
_BY_NAME: Final = {name: pattern for pattern, names in _FAMILIES for name in names.split()}


def comments(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Offset and text of each comment; none for a kind of file that has none."""
    name = PurePosixPath(path)
    pattern = _BY_NAME.get(name.name) or _BY_NAME.get(name.suffix.lower())
    if pattern is None:
        return
    for found in pattern.finditer(text):
        if found["comment"] is not None:
            yield found.start(), found["comment"]
