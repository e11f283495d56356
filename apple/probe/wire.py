"""Scenarios as the driver reads them: one line a step, every operand there, names of libraries instead of images.

`map code 1 rwx jit` is `map code 1p rwx jit` there, `write code+1k 7` is `write code+1024b 7 -`, and a `dlopen` names the library's
file and the symbol of its table of callbacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apple.probe import images
from interlock.contract.memory_map import Protection
from interlock.contract.scenario import ImageText

if TYPE_CHECKING:
    from interlock.contract.steps import Amount, Place, Step

_LETTERS = {Protection.READ: "r", Protection.WRITE: "w", Protection.EXECUTE: "x"}


def image_of(step: Step) -> ImageText:
    """The image that a `dlopen` loads."""
    return ImageText(name=step.name, words=step.words, options=step.options, span=step.span)


def line(step: Step) -> str:
    """The step's line."""
    if step.verb == "dlopen":
        image = image_of(step)
        return f"dlopen {images.library_name(image)} {images.table_symbol(image)}"
    words = [step.verb]
    match step.verb:
        case "map":
            words += [step.name, _amount(step.length), _protection(step), *_options(step)]
        case "alias":
            words += [step.name, _place(step.place), _amount(step.length), _protection(step)]
        case "advise":
            words += [_place(step.place), _amount(step.length), step.name]
        case "protect":
            words += [_place(step.place), _amount(step.length), _protection(step)]
        case "unmap" | "invalidate" | "clear-cache":
            words += [_place(step.place), _amount(step.length)]
        case "write":
            words += [_place(step.place), str(step.value), _amount(step.length)]
        case "kernel-write":
            words += [_place(step.place), str(step.value)]
        case "read" | "execute":
            words.append(_place(step.place))
        case "toggle" | "return":
            words.append(str(step.value or 0))
        case _:
            words += [each for each in (step.name, step.action) if each]
    return " ".join(words)


def _options(step: Step) -> list[str]:
    return [_option(name, value) for name, value in step.options.items()]


def _option(name: str, value: str) -> str:
    if name == "fixed":
        region, plus, offset = value.partition("+")
        amount = offset if plus else "0"
        return f"fixed={region}+{_written_amount(amount)}"
    return f"{name}={value}" if value else name


def _written_amount(text: str) -> str:
    """`1`, `512b`, `4k` as the scenario's text has it."""
    if text.endswith("k"):
        return f"{int(text[:-1]) * 1024}b"
    return text if text.endswith("b") else f"{text}p"


def _amount(amount: Amount | None) -> str:
    if amount is None:
        return "-"
    return f"{amount.number}{'p' if amount.is_pages else 'b'}"


def _place(place: Place | None) -> str:
    return "" if place is None else f"{place.region}+{_amount(place.offset)}"


def _protection(step: Step) -> str:
    asked = step.protection or Protection.NONE
    return "".join(letter for flag, letter in _LETTERS.items() if flag in asked) or "none"
