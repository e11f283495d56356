"""The porting auditor: what breaks, or is unsafe, when a JIT meets Apple silicon and the Hardened Runtime."""
