"""The pages of docs/: blocks of code run, in order, and print the text below them; the reference has all public names."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import fastnn

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [DOCS / "tutorial.md", *sorted(DOCS.glob("guides/*.md")), DOCS / "coming-from.md"]
#: a block of code and, if it is there, the block of text that it prints
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
#: a directive of Sphinx, its argument, and its first option
DIRECTIVE = re.compile(r"^\.\. (currentmodule|auto\w+):: (\S+)\n(?: +:([\w-]+):)?", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_run(page, fresh, in_empty_folder, own_names, capsys):
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    namespace = {}
    for code, text in blocks:
        capsys.readouterr()
        exec(compile(code, "example.py", "exec"), namespace)
        printed = capsys.readouterr().out
        assert not text or printed.split() == text.split()  # the pages wrap long lines


def described():
    """Return the ids of the objects that the reference describes."""
    found = set()
    for page in DOCS.glob("reference/*.md"):
        module = None
        for directive, name, option in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if directive in ("automodule", "currentmodule"):
                module = importlib.import_module(name)
                if directive == "automodule" and option != "no-members":
                    found.update(id(getattr(module, member)) for member in module.__all__)
            else:
                found.add(id(getattr(module, name)))
    return found


def test_the_reference_has_all_public_names():
    modules = [getattr(fastnn, name) for name in fastnn.__all__ if inspect.ismodule(getattr(fastnn, name))]
    modules += [fastnn, fastnn.estimators, fastnn.compat, fastnn.optimizers.schedules]
    known = described()
    public = {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in module.__all__}
    missing = [name for name, value in public.items() if not inspect.ismodule(value) and id(value) not in known]
    assert not missing
