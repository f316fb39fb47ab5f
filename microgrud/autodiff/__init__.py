"""Derivatives of functions: nested arguments, gradients, transforms, and custom operations.

Read `subgraph.py` first: the chain rule on nodes, for derivatives of any order. `calls.py` records a call of a function
for it, and `transforms.py` builds `grad`, `jacobian` and the other public functions on that; `trees.py` flattens their
nested arguments, and `outside.py` finds Values that the differentiated function does not own. `vjp.py`, `jacobians.py`,
`vmap.py` and `stopping.py` add functions of the same kind; `rematerialization.py` has `checkpoint`, and `frames.py`
finds Values among other objects. `custom.py` makes operations from user-defined functions, `structured.py` those on
structures, and `rules.py` checks their rules.
"""
