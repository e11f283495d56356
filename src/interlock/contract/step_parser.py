"""One step of a scenario: a verb of the table and its operands."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from interlock import limits
from interlock.contract.memory import ADVICE
from interlock.contract.memory_map import CELL_BYTES, Protection
from interlock.contract.process import SYMBOLS
from interlock.contract.steps import MAIN_THREAD, VERB_OF, Amount, Place, Step
from interlock.errors import LimitExceededError

if TYPE_CHECKING:
    from interlock.contract.scenario_line import Line

_AMOUNT = re.compile(r"([0-9]{1,9})([bk]?)")
_PAGE_BYTES_MAX = 16384
_VALUE_MAX = 0xFFFF  # what one instruction of either architecture can load
_MAP_OPTIONS = frozenset(
    {
        *("jit", "shared", "file", "noprivate", "resilient", "tpro", "unknown", "hint"),
        *("fixed", "fd", "tag"),
    }
)
_CHOICES = {
    "advice": sorted(ADVICE),
    "action": ["catch", "heal"],
    "kind": ["longjmp", "throw"],
    "signal": ["SIGBUS", "SIGILL", "SIGSEGV", "SIGTRAP", "SIGUSR1"],
}


def parse_step(line: Line) -> Step:
    """`[@THREAD] VERB OPERAND…`."""
    words = line.text.split()
    thread = MAIN_THREAD
    if words[0].startswith("@"):
        thread = line.name(words.pop(0)[1:], "a thread")
    if not words:
        raise line.fail("a thread without a step")
    verb = words.pop(0)
    known = VERB_OF.get(verb)
    if known is None:
        near = difflib.get_close_matches(verb, VERB_OF, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise line.fail(f"{verb!r} is no step{hint}", at=verb)
    found: dict[str, Any] = {}
    if verb == "dlopen":
        image = line.image(line.text.partition(verb)[2])
        found = {"name": image.name, "options": image.options, "words": image.words}
        words = []
    else:
        for operand in known.operands.split():
            _take(line, words, operand, found)
    if words:
        raise line.fail(f"{words[0]!r} is too much for {verb}", at=words[0])
    return Step(verb=verb, thread=thread, text=line.text.strip(), span=line.span, **found)


def _take(line: Line, words: list[str], operand: str, found: dict[str, Any]) -> None:
    """Take one operand from the words."""
    name = operand.removesuffix("?")
    if name == "options":
        found["options"] = line.options(words, _MAP_OPTIONS)
        for key in {"fd", "tag"} & set(found["options"]):
            line.number_of(found["options"][key], key)
        if "fixed" in found["options"]:
            _place(line, found["options"]["fixed"])
        words.clear()
        return
    is_optional = operand.endswith("?")
    if is_optional and (not words or (name == "length" and not _AMOUNT.fullmatch(words[0]))):
        return
    if not words:
        raise line.fail(f"expected {name}")
    word = words.pop(0)
    match name:
        case "name":
            found["name"] = _name(line, word)
        case "place":
            found["place"] = _place(line, word)
        case "length":
            found["length"] = _length(line, word)
        case "protection":
            found["protection"] = Protection.parse(word)
            if found["protection"] is None:
                raise line.fail(f"{word!r} is no protection: none, r, rw, rx, rwx", at=word)
        case "value":
            found["value"] = line.number_of(word, "value", digits=5)
            if found["value"] > _VALUE_MAX:
                raise line.fail(f"{word} is more than {_VALUE_MAX}", at=word)
        case _:
            if word not in _CHOICES[name]:
                raise line.fail(f"{word!r}: expected {', '.join(_CHOICES[name])}", at=word)
            found["action" if name in {"action", "kind"} else "name"] = word


def _name(line: Line, word: str) -> str:
    if line.text.split()[-2:-1] == ["symbol"] and word not in SYMBOLS:
        raise line.fail(f"{word!r}: expected {', '.join(SYMBOLS)}", at=word)
    return line.name(word, "anything")


def _amount(line: Line, word: str) -> Amount:
    found = _AMOUNT.fullmatch(word)
    if found is None:
        raise line.fail(f"{word!r} is no amount: pages, or bytes as 512b or 4k", at=word)
    number, unit = int(found[1]), found[2]
    return Amount(number=number * (1024 if unit == "k" else 1), is_pages=not unit)


def _length(line: Line, word: str) -> Amount:
    """A length; stores and invalidations go through it cell by cell, so it has a limit."""
    amount = _amount(line, word)
    size = amount.in_bytes(_PAGE_BYTES_MAX)
    if size > limits.SCENARIO_LENGTH_BYTES_MAX:
        raise LimitExceededError(
            limit="SCENARIO_LENGTH_BYTES_MAX",
            value=size,
            maximum=limits.SCENARIO_LENGTH_BYTES_MAX,
            span=line.span,
        )
    return amount


def _place(line: Line, word: str) -> Place:
    region, plus, offset = word.partition("+")
    amount = _amount(line, offset) if plus else Amount(number=0, is_pages=False)
    if not amount.is_pages and amount.number % CELL_BYTES:
        raise line.fail(f"{word!r}: an offset is a multiple of {CELL_BYTES} bytes", at=word)
    return Place(region=line.name(region, "a region"), offset=amount)
