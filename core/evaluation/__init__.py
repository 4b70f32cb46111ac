"""What a model is worth: one prediction per case, and the numbers with their intervals."""
