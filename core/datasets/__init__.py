"""Frozen snapshots of labelled cases: who is in which split, whether the splits leak, and the pixels for training."""
