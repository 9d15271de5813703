"""How the site is built: ``sphinx-build -W -n -b html docs docs/_build``."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import simkit

project = "simkit"
author = "The simkit developers"
copyright = "The simkit developers"
version = release = simkit.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "example_folders",
    "rooms",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "autolink"  # single backquotes in docstrings
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

html_theme = "pydata_sphinx_theme"
html_title = f"simkit {version}"
html_static_path = ["_static"]
html_css_files = ["simkit.css"]
html_favicon = "_static/simkit.svg"
html_context = {"default_mode": "auto"}
html_extra_path = ["llms.txt"]
html_show_sourcelink = False
html_theme_options = {
    "show_nav_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# What is copied is what a user types: neither prompts nor output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autosummary_generate = True
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # numpydoc's sections say it
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = False

INVENTORIES = {
    "python": "https://docs.python.org/3",
    "numpy": "https://numpy.org/doc/stable",
    "pandas": "https://pandas.pydata.org/docs",
    "xarray": "https://docs.xarray.dev/en/stable",
    "scipy": "https://docs.scipy.org/doc/scipy",
}


def is_online() -> bool:
    """Whether other projects' inventories can be had: without them their names are text instead of links."""
    try:
        socket.create_connection(("docs.python.org", 443), timeout=3).close()
    except OSError:
        return False
    return True


intersphinx_mapping = {name: (address, None) for name, address in INVENTORIES.items()} if is_online() else {}
intersphinx_timeout = 10
# Names of other projects are links where their inventories are there; ours must be right.
nitpick_ignore = [("py:obj", "simkit")]  # the command, in docstrings
nitpick_ignore_regex = [(r"py:.*", r"(?!simkit\b).*"), (r"py:.*", r"simkit\.\w+\..*")]

suppress_warnings = ["config.cache"]


def link_to_examples(app: Any, page: str, source: list[str]) -> None:
    """Turn links to folders of the repository's examples into links to their pages."""
    source[0] = re.sub(r"\]\((?:\.\./)+examples(?:/README\.md)?\)", "](/examples/index.md)", source[0])
    source[0] = re.sub(r"\]\((?:\.\./)+examples/(\w+)/?\)", r"](/examples/\1.md)", source[0])


def setup(app: Any) -> None:
    """Connect what stands in this file."""
    app.connect("source-read", link_to_examples)
