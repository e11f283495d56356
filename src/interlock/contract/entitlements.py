"""Entitlements: the claims in an executable's signature, from a property list or from DER.

Only `true` grants anything; what is malformed is refused here with its place, while the system would ignore all of it (X6).
"""

from __future__ import annotations

import plistlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError

from interlock import limits
from interlock.errors import EntitlementsError, LimitExceededError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "com.apple.security."
ALLOW_JIT = _PREFIX + "cs.allow-jit"
ALLOW_UNSIGNED_EXECUTABLE_MEMORY = _PREFIX + "cs.allow-unsigned-executable-memory"
DISABLE_EXECUTABLE_PAGE_PROTECTION = _PREFIX + "cs.disable-executable-page-protection"
JIT_WRITE_ALLOWLIST = _PREFIX + "cs.jit-write-allowlist"
JIT_WRITE_ALLOWLIST_FREEZE_LATE = _PREFIX + "cs.jit-write-allowlist-freeze-late"
SINGLE_JIT = _PREFIX + "cs.single-jit"
FATAL_EXCEPTIONS = _PREFIX + "fatal-exceptions"

# K8: each includes the one before.
_EXECUTION = (ALLOW_JIT, ALLOW_UNSIGNED_EXECUTABLE_MEMORY, DISABLE_EXECUTABLE_PAGE_PROTECTION)
_KNOWN = (*_EXECUTION, JIT_WRITE_ALLOWLIST, JIT_WRITE_ALLOWLIST_FREEZE_LATE, SINGLE_JIT)
SHORT_NAMES = {
    key.removeprefix(_PREFIX).removeprefix("cs."): key for key in (*_KNOWN, FATAL_EXCEPTIONS)
}

Value = bool | int | str | tuple["Value", ...] | MappingProxyType[str, "Value"]


def short_name(key: str) -> str:
    """`allow-jit` for the key that the contract knows, other keys as they are."""
    return next((short for short, long in SHORT_NAMES.items() if long == key), key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something about entitlements that is allowed and still wrong; `rule` says why."""

    rule: str
    key: str
    text: str

    def __str__(self) -> str:
        """`K8 allow-jit: …`."""
        return f"{self.rule} {short_name(self.key)}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlements:
    """What a signature claims: keys and values."""

    values: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Entitlements:
        """These entitlements, copied."""
        return cls(values=MappingProxyType(dict(values)))

    def has(self, key: str) -> bool:
        """Whether `key` is granted: true, or for fatal-exceptions a list that holds "jit" (X4)."""
        value = self.values.get(key)
        if key == FATAL_EXCEPTIONS:
            return isinstance(value, tuple) and "jit" in value
        return value is True

    @property
    def allows_unsigned_memory(self) -> bool:
        """Whether pages without a signature may be executed under the Hardened Runtime."""
        return any(self.has(key) for key in _EXECUTION[1:])

    @property
    def allows_jit(self) -> bool:
        """Whether MAP_JIT is allowed under the Hardened Runtime (A8, K8)."""
        return any(self.has(key) for key in _EXECUTION)

    def with_key(self, key: str, *, value: Value = True) -> Entitlements:
        """These, and `key`."""
        return Entitlements.of({**self.values, key: value})

    def without_key(self, key: str) -> Entitlements:
        """These, less `key`."""
        return Entitlements.of({each: held for each, held in self.values.items() if each != key})

    def remarks(self) -> tuple[Remark, ...]:
        """What a reader of this property list should change, by rule (K8, K9, F3, X6)."""
        found = [
            Remark(rule="K9", key=key, text="is false: leave it out")
            for key in sorted(self.values)
            if self.values[key] is False
        ]
        found += [
            Remark(rule="X6", key=key, text="must be a boolean to grant anything")
            for key in _KNOWN
            if not isinstance(self.values.get(key, False), bool)
        ]
        granted = [key for key in _EXECUTION if self.has(key)]
        found += [
            Remark(rule="K8", key=key, text=f"{short_name(granted[-1])} includes it")
            for key in granted[:-1]
        ]
        if self.has(JIT_WRITE_ALLOWLIST_FREEZE_LATE) and not self.has(JIT_WRITE_ALLOWLIST):
            text = "has no effect without jit-write-allowlist, and freezing kills"
            found.append(Remark(rule="F3", key=JIT_WRITE_ALLOWLIST_FREEZE_LATE, text=text))
        return tuple(found)


NO_ENTITLEMENTS = Entitlements()


def parse_plist(data: bytes, *, file: str = "") -> Entitlements:
    """The entitlements of an XML property list, as in a `.entitlements` file.

    Raises `EntitlementsError` with the place, and `LimitExceededError`.
    """
    _check_size(len(data), file)
    if data.startswith(b"bplist"):
        message = "a binary property list: the signing tools want XML (plutil -convert xml1)"
        raise EntitlementsError(message, span=_at(file, 0, data))
    try:
        tree = plistlib.loads(data, fmt=plistlib.FMT_XML)
    except ExpatError as error:
        span = Span(start=0, end=len(data), line=error.lineno, column=error.offset, file=file)
        raise EntitlementsError(f"not well-formed XML: {error}", span=span) from None
    # plistlib raises whatever its conversions raise; each means that the list is malformed.
    except (plistlib.InvalidFileException, ValueError, TypeError, KeyError, IndexError) as error:
        message = f"not a property list: {error or type(error).__name__}"
        raise EntitlementsError(message, span=_at(file, 0, data)) from None
    except (AttributeError, OverflowError, RecursionError) as error:
        message = f"not a property list ({type(error).__name__})"
        raise EntitlementsError(message, span=_at(file, 0, data)) from None
    if not isinstance(tree, dict):
        raise EntitlementsError("the outermost element is no <dict>", span=_at(file, 0, data))
    return Entitlements.of(
        {_key(key, file, data): _value(tree[key], key, file, data) for key in tree}
    )


def check_depth(depth: int, span: Span) -> None:
    """Stop at values nested beyond any use."""
    if depth > limits.ENTITLEMENTS_NESTING_MAX:
        raise LimitExceededError(
            limit="ENTITLEMENTS_NESTING_MAX",
            value=depth,
            maximum=limits.ENTITLEMENTS_NESTING_MAX,
            span=span,
        )


def _check_size(size: int, file: str) -> None:
    if size > limits.ENTITLEMENTS_BYTES_MAX:
        raise LimitExceededError(
            limit="ENTITLEMENTS_BYTES_MAX",
            value=size,
            maximum=limits.ENTITLEMENTS_BYTES_MAX,
            span=Span(start=0, end=size, file=file) if file else None,
        )


def _key(key: object, file: str, data: bytes) -> str:
    if not isinstance(key, str):
        raise EntitlementsError(f"the key {key!r} is no string", span=_at(file, 0, data))
    return key


def _value(tree: object, key: str, file: str, data: bytes, depth: int = 1) -> Value:
    """A value of a property list, frozen; dates, reals and data have no meaning here."""
    span = _locate(key, file, data)
    check_depth(depth, span)
    match tree:
        case bool() | int() | str():
            return tree
        case list():
            return tuple(_value(each, key, file, data, depth + 1) for each in tree)
        case dict():
            return MappingProxyType(
                {
                    _key(name, file, data): _value(each, key, file, data, depth + 1)
                    for name, each in tree.items()
                }
            )
    message = f"{key}: a {type(tree).__name__} is no value of an entitlement"
    raise EntitlementsError(message, span=span)


def _locate(key: str, file: str, data: bytes) -> Span:
    """Where the key stands, as far as its spelling tells."""
    return _at(file, max(data.find(f"<key>{key}</key>".encode()), 0), data)


def _at(file: str, offset: int, data: bytes) -> Span:
    line_start = data.rfind(b"\n", 0, offset) + 1
    line = data.count(b"\n", 0, offset) + 1
    return Span(start=offset, end=len(data), line=line, column=offset - line_start, file=file)
