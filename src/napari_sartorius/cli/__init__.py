"""One command per verb, thin: parse, call, report."""
