"""`interlock cache`, and that `interlock run` fills it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from interlock.cache import FOLDER_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Cli

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'


def test_run_fills_it_and_clear_empties_it(cli: Cli, tmp_path: Path) -> None:
    env = {FOLDER_VARIABLE: str(tmp_path / "cache")}
    (cli.directory / "add.wat").write_text(ADD)

    def held() -> int:
        done = cli("cache", "--json", env=env)
        found: dict[str, int] = json.loads(done.out)
        assert found["folder"] == env[FOLDER_VARIABLE]
        return found["entries"]

    assert held() == 0
    assert cli("run", "--no-cache", "--invoke", "add", "add.wat", "2", "3", env=env).out == "5\n"
    assert held() == 0
    for _ in range(2):
        assert cli("run", "--invoke", "add", "add.wat", "2", "3", env=env).out == "5\n"
        assert held() == 1
    assert "1 entries, 4 KiB" in cli("cache", env=env).out

    done = cli("cache", "--clear", env=env)

    assert (done.status, held()) == (0, 0)


def test_without_a_cache_it_says_so(cli: Cli) -> None:
    done = cli("cache", env={FOLDER_VARIABLE: ""})

    assert (done.status, done.err) == (1, "interlock: there is no cache\n")


def test_a_folder_that_is_not_used_is_named(cli: Cli, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    done = cli("cache", env={FOLDER_VARIABLE: str(tmp_path)})

    assert done.status != 0
    assert "other users may write the folder of the cache" in done.err
