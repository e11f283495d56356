"""The names of a scenario as addresses: callbacks, images and regions.  Every machine that maps memory itself shares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.contract.allow_list import LIST_SECTION, NULL, Image
from interlock.contract.memory import MAP_FAILED
from interlock.contract.memory_map import CELL_BYTES
from interlock.contract.steps import Amount, Place, Step
from interlock.errors import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.contract.memory_map import Protection
    from interlock.contract.scenario import ImageText

FIRST_CALLBACK = 0x10_0000
CALLBACK_BYTES = 64


class Names:
    """Addresses of a scenario's callbacks; the same name is the same function in every image."""

    def __init__(self) -> None:
        self._callbacks: dict[str, int] = {}

    def callback(self, name: str) -> int:
        """The address of a function, made up when the name is new."""
        known = self._callbacks
        return known.setdefault(name, FIRST_CALLBACK + CALLBACK_BYTES * len(known))

    def image(self, text: ImageText) -> Image:
        """The image with words instead of names, ended by NULL as the macro does."""
        words: list[int] = []
        weak: set[int] = set()
        for word in text.words:
            prefix, colon, name = word.partition(":")
            if word == "NULL":
                words.append(NULL)
            elif not colon:
                words.append(self.callback(word))
            elif prefix == "weak":
                weak.add(len(words))
                words.append(NULL)
            elif prefix == "pair":
                # A slice: the address of a pointer to the function, and a length.
                words += [self.callback(f"&{name}"), 1]
            else:
                words += [self.callback(f"fill {number}") for number in range(int(name))]
        if words and "unterminated" not in text.options:
            words.append(NULL)
        size = text.options.get("size")
        return Image(
            name=text.name,
            words=tuple(words),
            section=text.options.get("section", LIST_SECTION),
            size_bytes=None if size is None else int(size),
            is_in_shared_cache="shared-cache" in text.options,
            weak_nulls=frozenset(weak),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What a step mapped; at MAP_FAILED if it was refused."""

    address: int
    size: int


class Regions:
    """The regions of a scenario by name, on pages of the profile's size."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._regions: dict[str, Region] = {}

    def add(self, name: str, region: Region) -> None:
        """From now on the name means this region."""
        self._regions[name] = region

    def bytes_of(self, amount: Amount | None) -> int:
        """A length, 0 where none is given."""
        return 0 if amount is None else amount.in_bytes(self._page_bytes)

    def address(self, step: Step) -> int:
        """The address of the step's place."""
        if step.place is None:
            raise ScenarioError(f"{step.verb} needs a place", span=step.span)
        return self.place_address(step.place, step)

    def place_address(self, place: Place, step: Step) -> int:
        """The address of a place."""
        region = self._regions.get(place.region)
        if region is None:
            raise ScenarioError(f"there is no region {place.region}", span=step.span)
        if region.address == MAP_FAILED:
            return MAP_FAILED
        return region.address + place.offset.in_bytes(self._page_bytes)

    def fixed_address(self, step: Step) -> int | None:
        """Where the option `fixed` wants a mapping; None without it."""
        if "fixed" not in step.options:
            return None
        return self.place_address(_parse_place(step.options["fixed"]), step)

    def range(self, step: Step) -> tuple[int, int]:
        """The place and the length, or the rest of the region."""
        address = self.address(step)
        if step.length is not None or step.place is None:
            return address, self.bytes_of(step.length)
        offset = step.place.offset.in_bytes(self._page_bytes)
        return address, max(0, self._regions[step.place.region].size - offset)

    def cells(self, step: Step) -> tuple[int, int]:
        """The place and the length, or one cell."""
        size = CELL_BYTES if step.length is None else self.bytes_of(step.length)
        return self.address(step), size


def protection_of(step: Step) -> Protection:
    """The protection that the step names."""
    if step.protection is None:
        raise ScenarioError(f"{step.verb} needs a protection", span=step.span)
    return step.protection


def descriptor_of(options: Mapping[str, str]) -> int:
    """VM_MAKE_TAG(n) is n << 24; a file has a descriptor that is not looked at."""
    if "tag" in options:
        return int(options["tag"]) << 24
    return int(options.get("fd", "-1"))


def _parse_place(text: str) -> Place:
    """A place that the parser has accepted as an option's value."""
    region, _, offset = text.partition("+")
    unit = offset[-1:] if offset[-1:] in {"b", "k"} else ""
    number = int(offset.removesuffix(unit) or 0) if offset else 0
    return Place(
        region=region,
        offset=Amount(number=number * (1024 if unit == "k" else 1), is_pages=not unit),
    )
