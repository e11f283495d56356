"""The byte-code: WebAssembly modules as data, their binary and text formats, and their validation."""
