"""The former module of `microgrud.engine.copying`, which pickles of Values name."""

from .engine.copying import restore as restore, unpickle as unpickle
