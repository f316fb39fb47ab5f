"""Recorded functions, and what else compiles or differentiates whole programs: the second suite."""
