"""JavaScript: so far the lexer of a front end.  Nothing runs or parses JavaScript yet."""
