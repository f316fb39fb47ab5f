"""The third suite: transforms of plain functions (`grad`, `jacobian`, `hessian`, `jvp`, `hvp`), alone and nested.

The rows named "scalars" compute with Python's numbers, one operation after the other, as microgrud does; the other rows
of the rivals compute the same with arrays.
"""
