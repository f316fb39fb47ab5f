"""Derivatives of functions: nested arguments, gradients, transforms, and operations of the user's own."""
