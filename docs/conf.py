"""Settings of Sphinx for the site that `make docs` builds; its pages are staged by docs/site/stage.py."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "site"))

# The pages of the API show the Python engine, which has sources and annotations. Notebooks choose for themselves.
CHOSEN = os.environ.pop("MICROGRUD_BACKEND", None)
os.environ["MICROGRUD_BACKEND"] = "python"
importlib.import_module("microgrud.engine")
del os.environ["MICROGRUD_BACKEND"]
if CHOSEN is not None:
    os.environ["MICROGRUD_BACKEND"] = CHOSEN

project = "microgrud"
copyright = "the microgrud developers"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "extension",
    "pictures",
    "searching",
]
exclude_patterns = ["_*.md"]
nitpicky = True
# Nothing is fetched while the site is built, so names of other packages lead nowhere.
nitpick_ignore_regex = [(r"py:.*", r"(abc|collections|concurrent|enum|graphviz|hypothesis|mpmath|numpy|np|npt)\..*")]
nitpick_ignore_regex += [(r"py:.*", r"(dask|distributed|matplotlib|onnx|os|pandas|pathlib|pd|random|safetensors)\..*")]
nitpick_ignore_regex += [(r"py:.*", r"(scipy|sklearn|torch|types|typing)\..*")]

nitpick_ignore = [("py:exc", "NotFittedError"), ("py:class", "list[Output]")]  # of scikit-learn; a recursive type

html_theme = "furo"
html_title = "microgrud"
html_static_path = ["site/static"]
html_favicon = "site/static/icon.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_search_scorer = str(ROOT / "docs" / "site" / "searching.js")
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
html_math_renderer = "mathml"
pygments_style, pygments_dark_style = "friendly", "github-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

default_role = "soft"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
