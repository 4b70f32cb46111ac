"""A project to try things on: computed chest phantoms and simulated readers, or public data where they lie."""
