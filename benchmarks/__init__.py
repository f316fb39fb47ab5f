"""Benchmarks: the engines against each other, against plain floats and against what else is installed."""
