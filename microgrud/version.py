"""The version of the package; it stands in model files too."""

#: The version of the package.
__version__ = "0.1.0"
