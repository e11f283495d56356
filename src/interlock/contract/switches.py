"""What nobody but a Mac can answer: named switches of the model, each with the value it has until someone does."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from interlock.contract.observations import answer, kept
from interlock.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interlock.contract.observations import ProbeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One open point.  The first value is the default: what Macs answered, or what a program must expect until one does."""

    name: str
    rule: str
    values: tuple[str, ...]
    text: str

    @property
    def default(self) -> str:
        """The value of a model that was told nothing."""
        return self.values[0]


_WRITTEN = (
    Switch(
        name="jit-regions",
        rule="A7",
        values=("one", "many"),
        text="how many MAP_JIT regions a hardened process with allow-jit may have",
    ),
    Switch(
        name="hardened-rwx-errno",
        rule="A1",
        values=("EINVAL", "EACCES"),
        text="errno of RWX without MAP_JIT under the Hardened Runtime",
    ),
    Switch(
        name="unsigned-memory-lifts-wx",
        rule="P3",
        values=("no", "yes"),
        text="whether allow-unsigned-executable-memory allows RWX without MAP_JIT on Apple silicon",
    ),
    Switch(
        name="address-hint",
        rule="A4",
        values=("ignored", "honoured"),
        text="whether a free address given as a hint is used for MAP_JIT",
    ),
    Switch(
        name="kernel-write",
        rule="P8",
        values=("EFAULT", "follows-state"),
        text="what read(2) into RWX MAP_JIT memory does",
    ),
    Switch(
        name="double-mapping",
        rule="P9",
        values=("killed", "allowed"),
        text="what executing an alias of shared memory does under the Hardened Runtime",
    ),
    Switch(
        name="handler-state",
        rule="T12",
        values=("kept", "rx"),
        text="the state in which a signal handler starts",
    ),
    Switch(
        name="handler-change",
        rule="T12",
        values=("undone", "survives"),
        text="whether a toggle in a signal handler outlives the handler",
    ),
    Switch(
        name="toggle-read-back",
        rule="T14",
        values=("holds", "fails"),
        text="whether the register reads back as written; real machines fail about once in 100,000 starts",
    ),
    Switch(
        name="context-synchronisation",
        rule="I6",
        values=("not-needed", "needed"),
        text="whether a thread that ran older code at an address needs an ISB to see another thread's",
    ),
    Switch(
        name="monitor",
        rule="X3",
        values=("off", "on"),
        text="whether a code-signing monitor turns execute faults into kills",
    ),
    Switch(
        name="fork-state",
        rule="K3",
        values=("unset", "inherited", "rx"),
        text="the state in a forked child; unset neither writes nor executes until the child sets it",
    ),
    Switch(
        name="closures",
        rule="K10",
        values=("fail", "work"),
        text="whether libffi closures can be made under the Hardened Runtime with allow-jit only",
    ),
    Switch(
        name="unhardened-list",
        rule="C22",
        values=("honoured", "ignored"),
        text="whether jit-write-allowlist counts without the Hardened Runtime",
    ),
)


def answered(switch: Switch, results: Iterable[ProbeResult]) -> Switch:
    """The switch with the value in front that every Mac gives which was asked, if that is one value."""
    found = answer(switch.name, switch.values, results) or switch.default
    rest = (value for value in switch.values if value != found)
    return replace(switch, values=(found, *rest))


SWITCHES = tuple(answered(each, kept()) for each in _WRITTEN)
_BY_NAME = {each.name: each for each in SWITCHES}
DEFAULTS: Mapping[str, str] = MappingProxyType({each.name: each.default for each in SWITCHES})


def switch_settings(changes: Mapping[str, str]) -> Mapping[str, str]:
    """All switches, with `changes`; a name or value that does not exist raises `UnknownNameError`."""
    for name, value in changes.items():
        known = _BY_NAME.get(name)
        if known is None:
            near = tuple(difflib.get_close_matches(name, _BY_NAME, n=3, cutoff=0.4))
            raise UnknownNameError(kind="switch", name=name, near=near or tuple(_BY_NAME))
        if value not in known.values:
            raise UnknownNameError(kind=f"value of {name}", name=value, near=known.values)
    return MappingProxyType({**DEFAULTS, **changes})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An open question that a Mac would settle (section 12 of the contract)."""

    number: int
    text: str
    rule: str
    switch: str = ""


QUESTIONS = (
    Question(
        number=1,
        text="Is the limit of one region enforced for Developer ID with the Hardened Runtime, for the App Sandbox, for the Mac App Store?",
        rule="A7",
        switch="jit-regions",
    ),
    Question(
        number=2,
        text="Which errno does RWX without MAP_JIT give under the Hardened Runtime?",
        rule="A1",
        switch="hardened-rwx-errno",
    ),
    Question(
        number=3,
        text="Does the state survive the delivery of a signal, and a change made in a handler its return?",
        rule="T12",
        switch="handler-change",
    ),
    Question(number=4, text="Which state has a forked child?", rule="K3", switch="fork-state"),
    Question(
        number=5,
        text="Does the allow-list entitlement work ad hoc and without the Hardened Runtime on a release system, and is there a query?",
        rule="C22",
        switch="unhardened-list",
    ),
    Question(
        number=6,
        text="Which signal do the crashes of the thread library raise?  SIGTRAP is expected.",
        rule="C8",
    ),
    Question(
        number=7,
        text="Does read into RWX MAP_JIT memory fail, with EFAULT, and in which state?",
        rule="P8",
        switch="kernel-write",
    ),
    Question(
        number=8,
        text="Does allow-unsigned-executable-memory change anything for RWX without MAP_JIT on Apple silicon?",
        rule="P3",
        switch="unsigned-memory-lifts-wx",
    ),
    Question(
        number=9,
        text="Does a linker flag that drops __DATA_CONST, or an old deployment target, move the list out of reach?",
        rule="C10",
    ),
    Question(
        number=10,
        text="Does a core that only executes need an ISB?",
        rule="I6",
        switch="context-synchronisation",
    ),
)
