"""The blocks of code in each page of docs/ run, in order and in a namespace of their own, and print the text below them."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [DOCS / "tutorial.md", *sorted(DOCS.glob("guides/*.md")), DOCS / "coming-from.md"]
#: a block of code and, if it is there, the block of text that it prints
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


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
