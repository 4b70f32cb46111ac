"""Where child processes run: one file per place."""
