"""Pictures about a model: which part of an image spoke for an answer, and whether the picture can be trusted."""
