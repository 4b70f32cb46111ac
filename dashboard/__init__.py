"""The screens and the doors of Readroom: the shell, identity, the viewer, the routes."""
