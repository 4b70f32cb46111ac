"""The door for scripts: `readroom COMMAND`. Screens and scripts call the same engine functions."""

from core.cli.app import main

__all__ = ["main"]
