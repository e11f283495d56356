"""The command line: one file per command, each imported only when it is the one that was asked for."""
