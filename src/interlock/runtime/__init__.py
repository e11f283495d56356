"""The engine: modules, instances, imports, WASI, regions; it orders the stages and owns what they make."""
