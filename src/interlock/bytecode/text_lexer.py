"""Tokens of the text format.

A token is its text; the first character tells the kind: `(`, `)`, `"` a string, `$` an identifier, anything else a keyword
or a number.  The empty token ends the input.  Comments and annotations are no tokens.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn

from interlock.bytecode.module import make_span
from interlock.errors import UnsupportedError, WasmMalformedError

if TYPE_CHECKING:
    from interlock.bytecode.opcodes import Feature
    from interlock.source import Span

_PLAIN: Final = r'[^"\\\x00-\x1f\x7f]*'
_ESCAPE: Final = r"""\\(?:[tnr"'\\]|[0-9a-fA-F]{2}|u\{[0-9a-fA-F][0-9a-fA-F_]*\})"""
_STRING: Final = rf'"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*"'
_ID_CHARS: Final = r"[!#$%&'*+\-./0-9:<=>?@A-Z\\^_`a-z|~]+"
_TOKEN: Final = re.compile(
    r"(?P<skip>(?:[ \t\n\r]+|;;[^\n\r]*)+)|(?P<comment>\(;)|(?P<annotation>\(@)|(?P<paren>[()])"
    rf"|(?P<word>\$?{_STRING}|{_ID_CHARS})"
)
_COMMENT_EDGE: Final = re.compile(r"\(;|;\)")
_WORD_START: Final = re.compile(rf'"|{_ID_CHARS}')
_ESCAPES: Final = re.compile(_ESCAPE)
_LETTERS: Final = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}


class Lexer:
    """All tokens of a text, and where they begin."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.line_starts = (0, *(match.end() for match in re.finditer("\n", text)))
        self.tokens: list[str] = []
        self.offsets: list[int] = []
        self._scan()
        self.tokens.append("")
        self.offsets.append(len(text))

    def span(self, offset: int, end: int | None = None) -> Span:
        """The place of an offset of the text."""
        return make_span(offset, end, line_starts=self.line_starts, file=self.file)

    def fail(self, message: str, offset: int, end: int | None = None) -> NoReturn:
        """Raise `WasmMalformedError` at an offset."""
        raise WasmMalformedError(message, span=self.span(offset, end))

    def _scan(self) -> None:
        text, pos, end = self.text, 0, len(self.text)
        match_token = _TOKEN.match
        while pos < end:
            match = match_token(text, pos)
            if match is None:
                self._refuse(pos)
            kind = match.lastgroup
            at, pos = pos, match.end()
            if kind == "word":
                if _WORD_START.match(text, pos):
                    self.fail("unexpected token: a space is missing", pos)
            elif kind == "comment":
                pos = self._comment_end(at)
                continue
            elif kind == "annotation":
                pos = self._annotation_end(at)
                continue
            elif kind == "skip":
                continue
            self.tokens.append(match.group())
            self.offsets.append(at)

    def _refuse(self, pos: int) -> NoReturn:
        if self.text[pos] == '"' or self.text.startswith('$"', pos):
            self.fail("unclosed string, or an illegal character or escape in it", pos)
        self.fail(f"illegal character {self.text[pos]!r}", pos)

    def _comment_end(self, at: int) -> int:
        depth, pos = 0, at
        while True:
            edge = _COMMENT_EDGE.search(self.text, pos)
            if edge is None:
                self.fail("unclosed comment", at)
            depth += 1 if edge.group() == "(;" else -1
            pos = edge.end()
            if depth == 0:
                return pos

    def _annotation_end(self, at: int) -> int:
        depth, pos = 1, at + 1
        if not _WORD_START.match(self.text, at + 2):
            self.fail("empty annotation id", at)
        while depth:
            match = _TOKEN.match(self.text, pos)
            if match is None:
                self.fail("unclosed annotation", at)
            pos = match.end()
            if match.lastgroup == "comment":
                pos = self._comment_end(match.start())
            elif match.lastgroup == "annotation" or match.group() == "(":
                depth += 1
            elif match.group() == ")":
                depth -= 1
        return pos


class Cursor:
    """Walks over the tokens; `take_*` methods move it, or raise a located error."""

    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self.tokens = lexer.tokens
        self.offsets = lexer.offsets
        self.pos = 0

    @property
    def current(self) -> str:
        """The token at the cursor."""
        return self.tokens[self.pos]

    @property
    def offset(self) -> int:
        """Where the token at the cursor begins."""
        return self.offsets[self.pos]

    def fail(self, message: str, pos: int | None = None) -> NoReturn:
        """Raise `WasmMalformedError` at a token, by default the one at the cursor."""
        at = self.pos if pos is None else pos
        offset = self.offsets[at]
        self.lexer.fail(message, offset, offset + len(self.tokens[at]))

    def unexpected(self, wanted: str) -> NoReturn:
        """Raise for a token that is none of the wanted ones."""
        found = self.current if len(self.current) <= 40 else self.current[:40] + "…"
        self.fail(f"unexpected token: expected {wanted}, found {found or 'the end of the text'}")

    def unsupported(self, feature: Feature, pos: int | None = None) -> NoReturn:
        """Raise `UnsupportedError` at a token, by default the one at the cursor."""
        offset = self.offsets[self.pos if pos is None else pos]
        raise UnsupportedError(feature.value, span=self.lexer.span(offset))

    def next(self) -> str:
        """The token at the cursor, which moves on."""
        token = self.tokens[self.pos]
        if token:
            self.pos += 1
        return token

    def at_open(self, keyword: str) -> bool:
        """Whether `(keyword` stands at the cursor."""
        return self.tokens[self.pos] == "(" and self.tokens[self.pos + 1] == keyword

    def accept(self, token: str) -> bool:
        """Move over this token if it is there."""
        if self.tokens[self.pos] != token:
            return False
        self.pos += 1
        return True

    def accept_open(self, keyword: str) -> bool:
        """Move over `(keyword` if it is there."""
        if not self.at_open(keyword):
            return False
        self.pos += 2
        return True

    def expect(self, token: str) -> None:
        """Move over this token, which must be there."""
        if not self.accept(token):
            self.unexpected(f"`{token}`")

    def accept_id(self) -> str | None:
        """The name of an identifier if one is there, without its `$`."""
        word = self.tokens[self.pos]
        if not word.startswith("$"):
            return None
        if word == "$":
            self.fail("empty identifier")
        if word[1] == '"':
            name = self._utf8(string_bytes(word[1:], self))
            if not name:
                self.fail("empty identifier")
        else:
            name = word[1:]
        self.pos += 1
        return name

    def at_string(self) -> bool:
        """Whether a string stands at the cursor."""
        return self.current.startswith('"')

    def string(self) -> bytes:
        """The bytes of a string."""
        if not self.at_string():
            self.unexpected("a string")
        value = string_bytes(self.current, self)
        self.pos += 1
        return value

    def name(self) -> str:
        """A string which is a name."""
        if not self.at_string():
            self.unexpected("a string")
        value = self._utf8(string_bytes(self.current, self))
        self.pos += 1
        return value

    def _utf8(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.fail("malformed UTF-8 encoding")

    def skip_list(self) -> None:
        """Move behind the `)` of the list whose `(` was just passed."""
        depth = 1
        while depth:
            word = self.next()
            if not word:
                self.unexpected("`)`")
            depth += (word == "(") - (word == ")")


def string_bytes(token: str, cursor: Cursor) -> bytes:
    """The bytes that a string token stands for."""
    content = token[1:-1]
    try:
        if "\\" not in content:
            return content.encode()
        parts, pos = [], 0
        for escape in _ESCAPES.finditer(content):
            parts.append(content[pos : escape.start()].encode())
            parts.append(_unescape(escape.group()[1:], cursor))
            pos = escape.end()
        parts.append(content[pos:].encode())
    except UnicodeEncodeError:
        cursor.fail("malformed UTF-8 encoding")
    return b"".join(parts)


def _unescape(escape: str, cursor: Cursor) -> bytes:
    if escape[0] == "u" and len(escape) > 2:
        digits = escape[2:-1]
        value = int(digits.replace("_", ""), 16) if len(digits) <= 32 else 1 << 32
        if value >= 0x110000 or 0xD800 <= value < 0xE000 or "__" in digits or digits[-1] == "_":
            cursor.fail("malformed Unicode escape")
        return chr(value).encode()
    return _LETTERS[escape] if len(escape) == 1 else bytes([int(escape, 16)])
