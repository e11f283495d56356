"""`interlock doctor`: what it says of this machine."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from interlock.core.attacks import ATTACKS

if TYPE_CHECKING:
    from .conftest import Cli


def test_json_has_each_attack_by_each_user_before_and_after_hardening(cli: Cli) -> None:
    done = cli("doctor", "--json")

    found = json.loads(done.out)
    users = ["ordinary", "present"] if os.geteuid() == 0 else ["present"]
    assert (found["level"], found["writer"]) == ("sealed", "process")
    assert "seals" in found["mapping"]
    assert [(each["as"], each["hardened"], each["name"]) for each in found["attacks"]] == [
        (user, is_hardened, name)
        for user in users
        for is_hardened in (False, True)
        for name in ATTACKS
    ]
    assert {each["outcome"] for each in found["attacks"]} <= {"denied", "allowed"}
    assert all(each["by"] for each in found["attacks"] if each["outcome"] == "denied")


def test_no_attack_succeeds_after_hardening_not_even_roots(cli: Cli) -> None:
    found = json.loads(cli("doctor", "--json").out)

    allowed = [each for each in found["attacks"] if each["outcome"] == "allowed"]
    assert [each for each in allowed if each["hardened"]] == []
    # Unhardened, root reaches the writer process, and is told so; nobody else does.
    assert {each["as"] for each in allowed} <= {"present"}
    assert bool(allowed) == (os.geteuid() == 0)


def test_text_names_level_and_what_denied_each_attack(cli: Cli) -> None:
    done = cli("doctor", "--require", "sealed")

    assert done.status == 0
    assert done.out.startswith("level    sealed\nwriter   process")
    assert "mprotect_code_rw " in done.out
    assert "denied   mprotect: Permission denied" in done.out
    assert "\033" not in done.out


def test_an_unknown_level_is_a_usage_error(cli: Cli) -> None:
    assert cli("doctor", "--require", "steel").status == 2
