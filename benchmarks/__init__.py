"""Benchmarks: the engines compared with each other, with plain floats and with other installed libraries."""
