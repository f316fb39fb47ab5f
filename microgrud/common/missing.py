"""Messages for packages that are not installed.

They name the packages and not an extra of microgrud: `pip install 'microgrud[draw]'` would be wrong for an
installation from a clone, a wheel or conda.
"""

from __future__ import annotations

#: The modules of packages that have other names.
_MODULES = {"scikit-learn": "sklearn"}
#: Packages with a program and no module.
_PROGRAMS = {"graphviz-pure"}


def absent(*packages: str) -> list[str]:
    """Return those of the packages that are not installed, by the names that pip knows.

    >>> absent("pytest", "scikit-unlearn")
    ['scikit-unlearn']
    """
    import importlib.metadata  # not needed by `import microgrud`
    import importlib.util

    found = {name for name in _PROGRAMS & {*packages} for _ in importlib.metadata.distributions(name=name)}
    return [name for name in packages if name not in found and not importlib.util.find_spec(_MODULES.get(name, name))]


def what_to_install(needing: str, *packages: str) -> str:
    """Return an error message that names those of the packages that are not installed.

    Args:
        needing: the beginning of the sentence.
        packages: the packages to name if they are absent; if none is, all, since they could not be imported.

    >>> what_to_install("walking needs", "legs", "scikit-walk")
    'walking needs legs and scikit-walk, which are not installed: pip install legs scikit-walk'
    """
    *others, last = names = absent(*packages) or packages
    listed = f"{', '.join(others)} and {last}, which are" if others else f"{last}, which is"
    return f"{needing} {listed} not installed: pip install {' '.join(names)}"
