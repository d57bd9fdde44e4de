"""Settings of the site, for Sphinx; `python -m course_tools site` gathers the pages and calls it once a language."""

import os
from pathlib import Path

project = "User-interest modelling with large models"
html_title = {"zh_CN": "大模型时代的用户兴趣建模"}.get(os.environ["COURSE_LANGUAGE"], project)
author = "The course's authors"
copyright = "Apache-2.0 (code), CC BY 4.0 (text)"
language = os.environ["COURSE_LANGUAGE"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "sphinx_copybutton",
    "sphinx_design",
    "course_tools.publish.site",
]
exclude_patterns = ["**/.ipynb_checkpoints"]
templates_path = ["_templates"]

nb_execution_mode = "off"  # the stored outputs are shown, which CI proves
nb_ipywidgets_js = {}  # live widgets need a kernel; without this every page would ask a CDN for them
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "dollarmath", "substitution"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "sphinx_book_theme"
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}  # light or dark, as the browser likes it
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_show_search_summary = False  # it would have to fetch pages, which a browser refuses on a site opened from disk
html_search_options = {
    "dict": str(Path(__file__).with_name("words.txt"))
}  # the Chinese terms of the glossary are one word each
html_copy_source, html_sourcelink_suffix = True, ""
html_theme_options = {
    "article_header_end": ["language-switch.html", "article-header-buttons.html"],
    "home_page_in_toc": True,
    "navbar_persistent": [],  # or the theme makes a bar with a second search and menu, and binds its script there
    "show_navbar_depth": 1,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "alpha"

default_role = "literal"  # docstrings write names between single backticks
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_inherit_docstrings = False  # Keras describes its own methods
autodoc_typehints = "none"
