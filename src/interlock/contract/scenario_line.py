"""One line of a scenario's text, and the small readings that headers, steps and outcomes share."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from interlock.contract.scenario import ImageText
from interlock.errors import InterlockError, ScenarioError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_T = TypeVar("_T")
NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}")
_CALLBACK = re.compile(r"(?:weak:|pair:)?[A-Za-z_][\w.-]{0,63}|fill:\d{1,5}")
_IMAGE_OPTIONS = frozenset({"section", "size", "shared-cache", "unterminated", "entitlements"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line without its comment; `offset` is where it starts in the text."""

    text: str
    number: int
    offset: int
    file: str

    @property
    def span(self) -> Span:
        """Where its first word stands."""
        column = len(self.text) - len(self.text.lstrip())
        start = self.offset + column
        end = self.offset + max(len(self.text), column + 1)
        return Span(start=start, end=end, line=self.number, column=column, file=self.file)

    def split(self) -> tuple[str, str]:
        """The first word and the rest."""
        word, _, rest = self.text.strip().partition(" ")
        return word, rest.strip()

    def fail(self, message: str, *, at: str = "") -> ScenarioError:
        """An error at the line's start, or where the word `at` stands last in it."""
        span = self.span
        places = list(re.finditer(rf"(?<!\w){re.escape(at)}(?!\w)", self.text)) if at else []
        if places:
            column = places[-1].start()
            start = self.offset + column
            span = replace(span, start=start, end=start + len(at), column=column)
        return ScenarioError(message, span=span)

    def ask(self, find: Callable[[], _T]) -> _T:
        """What `find` finds; its error becomes one of this line."""
        try:
            return find()
        except InterlockError as error:
            raise self.fail(str(error)) from None

    def name(self, text: str, what: str) -> str:
        """A name of the scenario's own."""
        if not NAME.fullmatch(text):
            raise self.fail(f"{text!r} is no name of {what}", at=text)
        return text

    def number_of(self, text: str, what: str, *, digits: int = 9) -> int:
        """A decimal number."""
        if not re.fullmatch(rf"[0-9]{{1,{digits}}}", text):
            raise self.fail(f"{text!r} is no {what}", at=text)
        return int(text)

    def options(self, words: Iterable[str], known: frozenset[str]) -> Mapping[str, str]:
        """`flag` and `key=value` words."""
        found: dict[str, str] = {}
        for word in words:
            key, _, value = word.partition("=")
            if key not in known:
                raise self.fail(f"{word!r}: expected one of {', '.join(sorted(known))}", at=word)
            if key in found:
                raise self.fail(f"{key} is given twice", at=word)
            found[key] = value
        return MappingProxyType(found)

    def image(self, text: str) -> ImageText:
        """`NAME [OPTION…][: CALLBACK…]`."""
        head, _, words = text.partition(":")
        name, *options = head.split() or [""]
        callbacks = words.split()
        for each in callbacks:
            if not _CALLBACK.fullmatch(each):
                raise self.fail(f"{each!r} is no callback", at=each)
        found = self.options(options, _IMAGE_OPTIONS)
        if "size" in found:
            self.number_of(found["size"], "size")
        return ImageText(
            name=self.name(name, "an image"), words=tuple(callbacks), options=found, span=self.span
        )
