"""All failures of ports to macOS, by number."""

from __future__ import annotations

from interlock.contract.port_failures_memory import MEMORY_FAILURES
from interlock.contract.port_failures_signing import SIGNING_FAILURES
from interlock.contract.port_failures_thread import THREAD_FAILURES

PORT_FAILURES = (*MEMORY_FAILURES, *THREAD_FAILURES, *SIGNING_FAILURES)
