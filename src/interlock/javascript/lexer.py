"""Tokens, one at a time: the parser says where a regular expression or the rest of a template begins.

A token's kind is its own text for punctuators and reserved words, and else one of `name num str regex private template eof`.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from interlock import limits
from interlock.errors import JsSyntaxError, LimitExceededError
from interlock.source import Span

_LINE: Final = "\n\r\u2028\u2029"
_SPACE: Final = re.compile(
    rf"(?:[ \t\v\f\xa0\ufeff\u1680\u2000-\u200a\u202f\u205f\u3000{_LINE}]+"
    rf"|//[^{_LINE}]*+|/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/)*+"
)
_LINE_BREAK: Final = re.compile(f"[{_LINE}]")
_LINES: Final = re.compile(r"\r\n|[\n\r\u2028\u2029]")
_REST_OF_LINE: Final = re.compile(f"[^{_LINE}]*")
_DIGITS: Final = "[0-9](?:_?[0-9])*"
_TOKEN: Final = re.compile(
    r"(?P<name>[A-Za-z_$][A-Za-z0-9_$]*+(?![\\\x80-\U0010ffff]))"
    r"|(?P<num>0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*n?|0[oO][0-7](?:_?[0-7])*n?|0[bB][01](?:_?[01])*n?"
    rf"|0[0-7]+(?![0-9])|(?:0|[1-9](?:_?[0-9])*)n"
    rf"|(?:(?:0[0-9]+|0|[1-9](?:_?[0-9])*)(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?)"
    r"|(?P<punct>>>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?="
    r"|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?![0-9])|\+\+|--|\+=|-=|\*=|/=|%=|&=|\|=|\^=|<<|>>|\*\*"
    r"|/(?!\*)|[{}()\[\];,<>+\-*%&|^!~?:=.@])"
    r"""|(?P<str>"(?:[^"\\\n\r]|\\(?:\r\n|[\s\S]))*+"|'(?:[^'\\\n\r]|\\(?:\r\n|[\s\S]))*+')"""
    r"|(?P<template>`)"
)
_REGEX: Final = re.compile(
    rf"/((?:[^/\\\[{_LINE}]|\\[^{_LINE}]|\[(?:[^\]\\{_LINE}]|\\[^{_LINE}])*+\])++)/"
)
_REGEX_FLAGS: Final = frozenset("dgimsuvy")
_TEMPLATE: Final = re.compile(r"((?:[^`\\$]|\\[\s\S]|\$(?!\{))*+)(`|\$\{)")
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<hex>x[0-9a-fA-F]{2})|u(?:(?P<four>[0-9a-fA-F]{4})|\{(?P<code>[0-9a-fA-F]+)\})"
    r"|(?P<line>\r\n|[\n\r\u2028\u2029])|(?P<octal>[0-3][0-7]{0,2}|[4-7][0-7]?)|(?P<char>[\s\S]))"
)
_UNICODE_ESCAPE: Final = re.compile(r"\\u(?:([0-9a-fA-F]{4})|\{([0-9a-fA-F]+)\})")
_BAD_ESCAPES: Final = {
    "x": "Invalid hexadecimal escape sequence",
    "u": "Invalid Unicode escape sequence",
}
_CHARS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
KEYWORDS: Final = frozenset(
    {
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "import",
        "in",
        "instanceof",
        "new",
        "null",
        "return",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
    }
)
# Characters of ID_Start and ID_Continue which Python's XID_Start and XID_Continue lack (UAX #31, "NFKC modifications").
_START_ONLY: Final = frozenset("\u0e33\u0eb3\uff9e\uff9f")
_ID_NOT_XID: Final = frozenset(
    "\u037a\u309b\u309c\ufc5e\ufc5f\ufc60\ufc61\ufc62\ufc63\ufdfa\ufdfb\ufe70\ufe72\ufe74\ufe76\ufe78\ufe7a\ufe7c\ufe7e"
)


def is_id_start(char: str) -> bool:
    """Whether an identifier can begin with this character, by the Unicode version of this Python."""
    return char.isidentifier() or char == "$" or char in _ID_NOT_XID or char in _START_ONLY


def is_id_part(char: str) -> bool:
    """Whether an identifier can go on with this character."""
    return f"a{char}".isidentifier() or char in "$\u200c\u200d" or char in _ID_NOT_XID


def code_point(code: str) -> str | None:
    """The character of hexadecimal digits; None past the last."""
    code = code.lstrip("0")
    return (
        chr(int(code or "0", 16)) if len(code) <= 6 and int(code or "0", 16) <= 0x10FFFF else None
    )


def _to_number(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def join_surrogates(text: str) -> str:
    """A JavaScript string is UTF-16: two escapes that are a surrogate pair are one character here."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class Lexer:
    """A source and its current token."""

    def __init__(self, source: str, file: str, *, is_module: bool) -> None:
        self.source = source
        self.file = file
        self.is_module = is_module
        self.kind = ""
        self.value: object = None
        self.start = self.end = self.last_end = 0
        self.has_line_before = False
        self.is_escaped = False
        self.octal_at = -1  # of the current string or number, an error in strict code
        self.octal_message = ""
        if source.startswith("#!"):
            self.end = _REST_OF_LINE.match(source).end()  # type: ignore[union-attr]  # always matches

    def fail(self, message: str, start: int, end: int | None = None) -> NoReturn:
        """Raise the error for a range, or for one character."""
        span = self._span(start, start + 1 if end is None else end)
        text = _REST_OF_LINE.match(self.source, start - span.column)[0]  # type: ignore[index]  # always matches
        raise JsSyntaxError(message, span=span, text=text)

    def _span(self, start: int, end: int) -> Span:
        lines = [0, *(each.end() for each in _LINES.finditer(self.source, 0, start))]
        column = start - lines[-1]
        return Span(start=start, end=end, line=len(lines), column=column, file=self.file)

    def next(self) -> None:
        """Go to the next token."""
        source = self.source
        self.last_end = at = self.end
        begin = _SPACE.match(source, at).end()  # type: ignore[union-attr]  # always matches
        self.has_line_before = begin > at and _LINE_BREAK.search(source, at, begin) is not None
        while not self.is_module and source.startswith(("<!--", "-->"), begin):
            if source[begin] == "-" and self.kind and not self.has_line_before:
                break
            end = _REST_OF_LINE.match(source, begin).end()  # type: ignore[union-attr]  # always matches
            begin = _SPACE.match(source, end).end()  # type: ignore[union-attr]  # always matches
            self.has_line_before = True
        self.start = begin
        self.is_escaped = False
        self.octal_at = -1
        match = _TOKEN.match(source, begin)
        if match is None:
            self._unusual(begin)
            return
        self.end = match.end()
        text = match[0]
        group = match.lastgroup
        if group == "name":
            self.value = text
            self.kind = text if text in KEYWORDS else "name"
        elif group == "punct":
            self.kind = text
        elif group == "num":
            self._number(text)
        elif group == "str":
            self.kind = "str"
            self.value = text[1:-1] if "\\" not in text else self._cook(text[1:-1], begin + 1)
        else:
            self.kind = "template"

    def _unusual(self, at: int) -> None:
        source = self.source
        if at >= len(source):
            self.kind, self.end = "eof", at
            return
        if source[at] == "#":
            self.value, self.end = self._identifier(at + 1)
            self.kind = "private"
            return
        if source.startswith("/*", at):
            self.fail("Invalid or unexpected token", at)
        name, self.end = self._identifier(at)
        self.value = name
        # An escaped reserved word is none, and no identifier either: the parser knows where it may stand.
        self.kind = name if name in KEYWORDS and not self.is_escaped else "name"

    def _identifier(self, at: int) -> tuple[str, int]:
        source = self.source
        begin = at
        chars: list[str] = []
        while at < len(source):
            char, width = source[at], 1
            if char == "\\":
                escape = _UNICODE_ESCAPE.match(source, at)
                if escape is None:
                    self.fail("Invalid Unicode escape sequence", at)
                char = code_point(escape[1] or escape[2]) or "\0"
                width = len(escape[0])
                self.is_escaped = True
                if not (is_id_part if chars else is_id_start)(char):
                    self.fail("Invalid or unexpected token", begin, at + width)
            elif not (is_id_part if chars else is_id_start)(char):
                break
            chars.append(char)
            at += width
        if not chars:
            self.fail("Invalid or unexpected token", begin)
        return "".join(chars), at

    def _number(self, text: str) -> None:
        after = self.source[self.end : self.end + 1]
        if after and (after in {"_", "\\"} or is_id_part(after)):
            if after == "_":
                self._misplaced_separator(text)
            self.fail("Invalid or unexpected token", self.start, self.end)
        self.kind = "num"
        if text[0] == "0" and text[1:2].isdigit():
            self.octal_at = self.start
            is_octal = text.isdigit() and not set(text) & {"8", "9"}
            self.octal_message = (
                "Octal literals are not allowed in strict mode."
                if is_octal
                else "Decimals with leading zeros are not allowed in strict mode."
            )
            self.value = _to_number(int(text, 8)) if is_octal else float(text)
            return
        plain = text.replace("_", "")
        if plain[-1] == "n":
            self.value = self._big_int(plain[:-1])
        elif plain[:2].lower() in {"0x", "0o", "0b"}:
            self.value = _to_number(int(plain, 0))
        else:
            self.value = float(plain)

    def _big_int(self, digits: str) -> int:
        if not digits.isdigit():
            return int(digits, 0)
        if len(digits) > limits.JS_BIGINT_DIGITS_MAX:
            raise LimitExceededError(
                limit="JS_BIGINT_DIGITS_MAX",
                value=len(digits),
                maximum=limits.JS_BIGINT_DIGITS_MAX,
                span=self._span(self.start, self.end),
            )
        # Piece by piece: Python refuses longer ones, from 640 digits if the host wants so.
        value = 0
        for at in range(0, len(digits), 600):
            piece = digits[at : at + 600]
            value = value * 10 ** len(piece) + int(piece)
        return value

    def _misplaced_separator(self, text: str) -> NoReturn:
        if text[0] == "0" and text.isdigit():
            self.fail("Numeric separator can not be used after leading 0.", self.end)
        if self.source.startswith("__", self.end):
            message = "Only one underscore is allowed as numeric separator"
            self.fail(message, self.end + 1)
        message = "Numeric separators are not allowed at the end of numeric literals"
        self.fail(message, self.end + 1)

    def _cook(self, raw: str, at: int) -> str:
        """The value of a string with escapes."""

        def cook(escape: re.Match[str]) -> str:
            octal = escape["octal"]
            char = escape["char"]
            if (octal and octal != "0") or char in {"8", "9"} or self._is_digit(raw, escape):
                self.octal_at = at + escape.start()
                which = "\\8 and \\9" if char else "Octal escape sequences"
                self.octal_message = f"{which} are not allowed in strict mode."
            value = self.cook_escape(escape)
            if value is None:
                message = _BAD_ESCAPES.get(char, "Undefined Unicode code-point")
                self.fail(message, at + escape.start(), at + escape.end())
            return value

        return join_surrogates(_ESCAPE.sub(cook, raw))

    @staticmethod
    def _is_digit(raw: str, escape: re.Match[str]) -> bool:
        return escape["octal"] == "0" and raw[escape.end() : escape.end() + 1] in {"8", "9"}

    @staticmethod
    def cook_escape(escape: re.Match[str]) -> str | None:
        """What an escape sequence stands for; None if it is malformed."""
        if escape["hex"]:
            return chr(int(escape["hex"][1:], 16))
        if escape["four"] or escape["code"]:
            return code_point(escape["four"] or escape["code"])
        if escape["line"]:
            return ""
        if escape["octal"]:
            return chr(int(escape["octal"], 8))
        char = escape["char"]
        return None if char in {"x", "u"} else _CHARS.get(char, char)

    def rescan_regex(self) -> tuple[str, str]:
        """The current `/` or `/=` begins a regular expression: its pattern and flags; it becomes the current token."""
        match = _REGEX.match(self.source, self.start)
        if match is None:
            self.fail("Invalid regular expression: missing /", self.start)
        end = match.end()
        while end < len(self.source) and is_id_part(self.source[end]):
            end += 1
        flags = self.source[match.end() : end]
        is_valid = set(flags) <= _REGEX_FLAGS and len(set(flags)) == len(flags)
        if not is_valid or {"u", "v"} <= set(flags) or self.source[end : end + 1] == "\\":
            self.fail("Invalid regular expression flags", self.start, end)
        self.kind, self.end = "regex", end
        return match[1], flags

    def template_part(self, at: int, *, is_tagged: bool) -> tuple[str | None, str, bool, int]:
        """From after a backquote or brace: cooked and raw text, whether it is the last part, and where the next begins."""
        match = _TEMPLATE.match(self.source, at)
        if match is None:
            self.fail("Unexpected end of input", len(self.source))
        raw = match[1].replace("\r\n", "\n").replace("\r", "\n")
        cooked: list[str] = []
        done = 0
        for escape in _ESCAPE.finditer(raw):
            octal = escape["octal"]
            is_bad = (octal is not None and octal != "0") or escape["char"] in {"8", "9"}
            is_bad = is_bad or self._is_digit(raw, escape)
            value = None if is_bad else self.cook_escape(escape)
            if value is None:
                if not is_tagged:
                    message = _BAD_ESCAPES.get(escape["char"], "Undefined Unicode code-point")
                    if is_bad:
                        message = "Octal escape sequences are not allowed in template strings"
                    self.fail(message, at + escape.start(), at + escape.end())
                return None, raw, match[2] == "`", match.end()
            cooked += raw[done : escape.start()], value
            done = escape.end()
        text = join_surrogates("".join([*cooked, raw[done:]]))
        return text, raw, match[2] == "`", match.end()
