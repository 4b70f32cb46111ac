"""Arrays in, numbers out. What cannot be computed is None with the reason, never a guess."""
