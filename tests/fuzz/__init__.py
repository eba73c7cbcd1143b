"""Whatever bytes reach our parsers: `targets` say what must hold, `python -m tests.fuzz` searches."""
