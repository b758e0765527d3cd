"""Experiments: a configuration in, numbers out; pictures are drawn from the numbers elsewhere."""
