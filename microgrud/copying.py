"""Alias of `microgrud.engine.copying`: older pickles of Values name this module."""

from .engine.copying import restore as restore, unpickle as unpickle
