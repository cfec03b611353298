"""The README's examples run, in order, in one namespace, and its commands exist."""

import re
from pathlib import Path

from fastnn.cli.options import make_parser

README = Path(__file__).parent.parent / "README.md"


def test_the_examples_run(in_empty_folder, capsys, own_names):
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    namespace = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    printed = capsys.readouterr().out
    assert "\n7\n" in printed  # the digit predicted
    assert "delta_1" in printed and "dW_1" in printed


def test_the_commands_are_understood():
    commands = re.findall(r"^    fastnn (.*?)(?:  #.*)?$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        args = make_parser().parse_args(command.split())
        assert callable(args.run)


def test_the_first_screen_has_the_two_commands():
    first = README.read_text(encoding="utf-8").splitlines()[:24]
    assert "    pip install . && fastnn train mnist-cnn" in first
    assert "    pip install -e '.[test]' && pytest" in first
