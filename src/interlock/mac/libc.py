"""libSystem without a part in the contract: what the core calls of the C library and of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.mac.libsystem import service

if TYPE_CHECKING:
    from interlock.mac.kernel import GuestThread, Mac


@service("___error")
def _error(mac: Mac, thread: GuestThread) -> None:
    mac.cpu.set_x(0, thread.errno_address)


@service("_getpagesize")
def _page_size(mac: Mac, thread: GuestThread) -> None:
    mac.cpu.set_x(0, thread.process.model.profile.page_bytes)
