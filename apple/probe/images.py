"""The images of a scenario as C: an executable or a library, its callbacks, and its list, right or wrong as the scenario says."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from interlock.contract.allow_list import LIST_SECTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from interlock.contract.scenario import ImageText

_WORD_BYTES = 8
_ADDRESS_BYTES = 8  # between the names and the size in Mach-O's section_64
_KEY_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFormat:
    """How a list is written by hand: the prefix of C's symbols, the directive of a section, what goes before the right one."""

    symbol_prefix: str
    section: str  # with {segment} and {section}
    list_section: str
    before_list: str = ""
    section_name_characters: int = 64
    # The linker rounds sizes up: `with_section_sizes` sets what an image wants.
    rounds_sizes: bool = False

    def directive(self, name: str) -> str:
        """The directive that switches to a section named as Apple's tools do: SEGMENT,SECTION."""
        if name == LIST_SECTION:
            return self.list_section
        segment, _, section = name.partition(",")
        return self.section.format(segment=segment, section=section[: self.section_name_characters])


MACHO = ObjectFormat(
    symbol_prefix="_",
    section=".section {segment},{section},regular,no_dead_strip",
    list_section=f".section {LIST_SECTION},regular,no_dead_strip",
    section_name_characters=16,
    rounds_sizes=True,
)
ELF = ObjectFormat(
    symbol_prefix="",
    section='.section \\"{segment},{section}\\",\\"aw\\"',
    list_section='.section __pth_jit_func,\\"awR\\"',
    before_list="IL_APPLE_FIND_CALLBACKS\n",
)


def key(*images: ImageText) -> str:
    """A name for these bytes: images that a scenario describes alike are one file."""
    text = "\n".join(f"{each.name} {sorted(each.options.items())}: {each.words}" for each in images)
    return sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def table_symbol(image: ImageText) -> str:
    """The symbol of a library's table of callbacks."""
    return f"probe_image_{key(image)}"


def library_name(image: ImageText) -> str:
    """The file name of a library, on Linux as well: a step names it, and every linker knows the suffix."""
    return f"image-{key(image)}.dylib"


def sources(image: ImageText, target: ObjectFormat) -> tuple[str, ...]:
    """The C files of a library."""
    symbol = table_symbol(image)
    table = (
        f"extern probe_image {symbol};\n"
        f'__attribute__((visibility("default"))) probe_image {symbol} = {_rows(image)};\n'
    )
    return (_functions(image) + table, *_lists(image, target))


def executable_sources(images: Sequence[ImageText], target: ObjectFormat) -> tuple[str, ...]:
    """The C files of an executable whose own image is the first, and which links the others."""
    own, linked = images[:1], images[1:]
    tables = [table_symbol(each) for each in linked]
    lines = ['#include "image.h"', *(f"extern probe_image {each};" for each in tables)]
    if own:
        lines.append(f"static probe_image own = {_rows(own[0])};")
        tables.insert(0, "own")
    entries = ", ".join([*tables, "0"])
    lines += [f"const probe_callback *const probe_linked_images[] = {{{entries}}};", ""]
    if not own:
        return ("\n".join(lines),)
    return (_functions(own[0]) + "\n".join(lines), *_lists(own[0], target))


def _callback_symbol(name: str) -> str:
    """The C function of a callback; names in scenarios may hold `-` and `.`."""
    return "callback_" + re.sub(r"\W", lambda found: f"_{ord(found[0]):x}_", name)


def _callbacks(image: ImageText) -> tuple[str, ...]:
    """The callbacks that the image defines, by their names, each once."""
    found = []
    for word in image.words:
        prefix, colon, name = word.partition(":")
        if colon and prefix == "pair":
            found.append(name)
        elif not colon and word != "NULL":
            found.append(word)
    return tuple(dict.fromkeys(found))


def _rows(image: ImageText) -> str:
    rows = [f'{{"{name}", {_callback_symbol(name)}}}' for name in _callbacks(image)]
    return "{" + ", ".join([*rows, "{0, 0}"]) + "}"


def _functions(image: ImageText) -> str:
    symbols = [_callback_symbol(name) for name in _callbacks(image)]
    if any(word.startswith("fill:") for word in image.words):
        symbols.append("callback_fill")
    return "\n".join(['#include "image.h"', *(f"PROBE_CALLBACK({each})" for each in symbols), ""])


def with_section_sizes(program: bytes, image: ImageText) -> bytes:
    """A linked Mach-O file whose list has the size that the image states; its signature is made anew anyway."""
    if "size" not in image.options:
        return program
    segment, section = LIST_SECTION.split(",")
    header = struct.pack("<16s16s", section.encode(), segment.encode())
    at = program.index(header) + len(header) + _ADDRESS_BYTES
    size = struct.pack("<Q", int(image.options["size"]))
    return program[:at] + size + program[at + len(size) :]


# ---- Lists -------------------------------------------------------------------------------------------------------------------


def _lists(image: ImageText, target: ObjectFormat) -> tuple[str, ...]:
    """One source for each list.  Apple's macro makes it wherever it can, assembly where the macro could not go wrong."""
    if not image.words:
        return ()
    is_odd = {"section", "size", "unterminated"} & set(image.options)
    if is_odd or any(word.startswith("pair:") for word in image.words):
        return (_odd_list(image, target),)
    parts: list[list[str]] = [[]]
    for word in image.words:
        if word == "NULL":
            parts.append([])  # a second use of the macro: in a source of its own, as in a program
        else:
            parts[-1].append(word)
    return tuple(_macro_list(part) for part in parts)


def _macro_list(words: Iterable[str]) -> str:
    attributes: dict[str, str] = {}
    entries: list[str] = []
    for word in words:
        prefix, colon, name = word.partition(":")
        if colon and prefix == "fill":
            attributes["callback_fill"] = 'visibility("hidden")'
            entries += ["callback_fill"] * int(name)
        elif colon:
            missing = f"missing_{_callback_symbol(name)}"
            attributes[missing] = "weak"
            entries.append(missing)
        else:
            attributes[_callback_symbol(word)] = 'visibility("hidden")'
            entries.append(_callback_symbol(word))
    declared = [
        f"extern int {name}(void *) __attribute__(({value}));" for name, value in attributes.items()
    ]
    listed = f"PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP({', '.join(entries)});"
    return "\n".join(['#include "apple_api.h"', *declared, listed, ""])


def _odd_list(image: ImageText, target: ObjectFormat) -> str:
    words: list[str] = []
    lines = [".data", ".p2align 3"]
    for word in image.words:
        prefix, colon, name = word.partition(":")
        function = target.symbol_prefix + _callback_symbol(name if colon else word)
        if word == "NULL":
            words.append("0")
        elif not colon:
            words.append(function)
        elif prefix == "pair":
            # A slice: the address of a pointer to the function, and a length.
            lines += [f"slice_{function}:", f".quad {function}"]
            words += [f"slice_{function}", "1"]
        else:
            message = f"{word} in a list with section=, size= or unterminated"
            raise ValueError(message)
    if "unterminated" not in image.options:
        words.append("0")
    size = len(words) * _WORD_BYTES
    if not target.rounds_sizes:
        size = int(image.options.get("size", size))
    whole, rest = divmod(size, _WORD_BYTES)
    section = image.options.get("section", LIST_SECTION)
    lines += [
        target.directive(section),
        ".p2align 3",
        *(f".quad {each}" for each in words[:whole]),
        *([".byte 0"] * rest),
        ".text",
    ]
    text = "\n".join(f'    "{line}\\n"' for line in lines)
    before = target.before_list if section == LIST_SECTION else ""
    return f'#include "apple_api.h"\n{before}__asm__(\n{text});\n'
