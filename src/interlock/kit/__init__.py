"""What goes to a Mac to run Interlock under the allow-list: a launcher, its entitlements, the commands that sign it, a check.

Everything is written on any machine.  Nothing of it has run on a Mac; `interlock mac check` is what to run there first.
"""

from interlock.kit.kit import Kit, write_kit
from interlock.kit.self_check import Check, Facts, judge

__all__ = ["Check", "Facts", "Kit", "judge", "write_kit"]
