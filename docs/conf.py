"""How Sphinx builds these pages: ``sphinx-build -W --keep-going docs docs/_build/html``."""

import shutil
from pathlib import Path

import fastnn

HERE = Path(__file__).parent

# Sphinx reads what lies below this folder. Labs and pictures are Python scripts in cells (py:percent), which it runs as notebooks.
(HERE / "gallery").mkdir(exist_ok=True)
for path in (HERE.parent / "examples").rglob("*.py"):
    shutil.copy2(path, HERE / "gallery")

project = "fastnn"
copyright = "the fastnn developers"
version = release = fastnn.__version__
extensions = [
    *("numpydoc", "myst_nb", "sphinx_copybutton"),
]
exclude_patterns = ["conf.py", "_build"]
default_role = "py:obj"

html_theme = "furo"
html_title = "fastnn"
html_static_path = ["_static"]
html_css_files = ["style.css"]

autodoc_default_options = {"members": True}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # numpydoc's sections tell the types
autodoc_inherit_docstrings = False  # what a class overrides is described once, in its base
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_in_temp = True  # labs write pictures
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
