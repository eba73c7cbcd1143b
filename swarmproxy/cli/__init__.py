"""The command line. Start at `app.py`: the commands, and what becomes of errors."""

from swarmproxy.cli.app import main

__all__ = ["main"]
