"""The version of the package; it stands in model files too."""

__version__ = "0.1.0"
