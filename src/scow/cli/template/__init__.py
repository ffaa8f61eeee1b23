"""Go's text/template language as far as Docker's `--format` uses it: lexer, parser, evaluator, functions. Pure."""
