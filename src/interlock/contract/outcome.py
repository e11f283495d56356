"""What one operation on a machine came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from interlock.contract import table
from interlock.contract.rule import EffectKind
from interlock.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.contract.profile import Profile
    from interlock.contract.rule import Effect


class OutcomeKind(StrEnum):
    """`dead`: the process had ended before."""

    OK = "ok"
    ERRNO = "errno"
    SIGNAL = "signal"
    KILL = "kill"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Success with a value, or what the system did, with the rule that explains it.

    A success names a rule when something is wrong that the system does not say: stale code, for example.
    """

    kind: OutcomeKind
    name: str = ""
    message: str = ""
    rule: str = ""
    value: int | None = None

    def __str__(self) -> str:
        """`ok 7`, `errno EACCES P1`, `kill SIGTRAP C8 "BUG IN …"`."""
        parts = [self.kind.value, self.name]
        if self.value is not None:
            parts.append(str(self.value))
        parts += [self.rule, f'"{self.message}"' if self.message else ""]
        return " ".join(part for part in parts if part)


OK = Outcome(kind=OutcomeKind.OK)
DEAD = Outcome(kind=OutcomeKind.DEAD)


def ok(value: int | None = None, *, rule: str = "") -> Outcome:
    """Success."""
    return Outcome(kind=OutcomeKind.OK, value=value, rule=rule)


class Rulebook:
    """The rules that concern one process, and the switches: what the model asks before it decides."""

    def __init__(self, profile: Profile, switches: Mapping[str, str]) -> None:
        self.profile = profile
        self._switches = switches
        self._active = frozenset(rule.id for rule in table.rules() if rule.applies_to(profile))

    def holds(self, rule_id: str) -> bool:
        """Whether the rule concerns this process."""
        return rule_id in self._active

    def is_set(self, switch: str, value: str) -> bool:
        """Whether the switch has this value."""
        return self._switches[switch] == value

    def errno(self, rule_id: str, *, name: str = "") -> Outcome:
        """The call fails as the rule's table says, or with `name` where a switch decides."""
        effect = self._effect(rule_id, EffectKind.ERRNO)
        return Outcome(kind=OutcomeKind.ERRNO, name=name or effect.name, rule=rule_id)

    def signal(self, rule_id: str, name: str = "SIGBUS") -> Outcome:
        """The thread gets a signal that the rule's table lists."""
        for effect in table.rule(rule_id).effects:
            if effect.kind is EffectKind.SIGNAL and effect.name == name:
                return Outcome(kind=OutcomeKind.SIGNAL, name=name, rule=rule_id)
        raise InternalError(stage="contract", detail=f"{rule_id} has no signal {name}")

    def kill(self, rule_id: str) -> Outcome:
        """The process ends as the rule's table says."""
        effect = self._effect(rule_id, EffectKind.KILL)
        return Outcome(
            kind=OutcomeKind.KILL, name=effect.name, message=effect.message, rule=rule_id
        )

    def _effect(self, rule_id: str, kind: EffectKind) -> Effect:
        effect = table.rule(rule_id).effect_for(self.profile, kind)
        if effect is None:
            detail = f"{rule_id} has no {kind.value} for {self.profile.name}"
            raise InternalError(stage="contract", detail=detail)
        return effect
