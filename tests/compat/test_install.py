"""Course packages, written to a folder here, that find fastnn's modules in the place of their own."""

import importlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fastnn import compat

BROKEN = "raise ImportError('the course\\'s own module was imported')\n"


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process in which nothing is installed, with `tmp_path` among the folders that are searched."""
    monkeypatch.setattr(compat, "_finder", compat._CourseFinder())
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cs231n", "common", "week2")]:
        del sys.modules[name]


CS231N = {
    "cs231n/__init__.py": "",
    "cs231n/layers.py": BROKEN,
    "cs231n/fast_layers.py": BROKEN,
    "cs231n/im2col_cython.pyx": "this was never built",
    "cs231n/optim.py": BROKEN,
    "cs231n/layer_utils.py": """
        from .layers import *
        from .fast_layers import *

        def affine_twice(x, w, b):  # a student's own
            return affine_forward(affine_forward(x, w, b)[0], w, b)[0]
        """,
    "cs231n/classifiers/__init__.py": "",
    "cs231n/classifiers/cnn.py": """
        from ..layers import *
        from ..fast_layers import *
        from ..layer_utils import *
        """,
    "cs231n/solver.py": """
        from cs231n import optim

        def rule(name):
            return getattr(optim, name)
        """,
}


def test_modules_take_the_courses_place_and_leave_the_rest(fresh):
    write(fresh, CS231N)
    assert compat.install("cs231n") == tuple(compat.COURSES["cs231n"])
    from cs231n.classifiers import cnn
    from cs231n.im2col_cython import col2im_cython
    from cs231n.solver import rule

    from fastnn.compat.cs231n import fast_layers, im2col_cython, layers, optim

    assert col2im_cython is im2col_cython.col2im_cython
    assert cnn.conv_forward_fast is fast_layers.conv_forward_fast and cnn.affine_forward is layers.affine_forward
    assert rule("adam") is optim.adam
    assert cnn.affine_twice([[1, 2]], [[0, 1], [1, 0]], [0, 0]).tolist() == [[1, 2]]
    assert str(fresh) in sys.modules["cs231n.layer_utils"].__file__

    import cs231n.optim

    assert cs231n.optim is optim  # the package has it as an attribute too
    assert optim.__name__ == optim.__spec__.name == "fastnn.compat.cs231n.optim"


def test_only_some_modules(fresh):
    write(fresh, {**CS231N, "cs231n/layers.py": "mine = True\n", "cs231n/optim.py": "mine = True\n"})
    assert compat.install("cs231n", only=["cs231n.fast_layers"]) == ("cs231n.fast_layers",)
    import cs231n.fast_layers
    import cs231n.layers
    import cs231n.optim

    assert cs231n.layers.mine and cs231n.optim.mine
    assert cs231n.fast_layers.__name__ == "fastnn.compat.cs231n.fast_layers"
    compat.install("cs231n", only=["cs231n.fast_layers"])  # again, and nothing happens
    compat.install("cs231n", only=["cs231n.im2col"])


def test_without_the_courses_folder_its_package_is_empty_until_the_folder_is_found(fresh, monkeypatch):
    compat.install("cs231n")
    from cs231n.layers import affine_forward

    assert affine_forward([[1, 2]], [[0, 1], [1, 0]], [0, 0])[0].tolist() == [[2, 1]]
    with pytest.raises(ModuleNotFoundError, match="cs231n.data_utils"):
        import cs231n.data_utils  # noqa: F401
    compat.install("dlfs")
    monkeypatch.syspath_prepend(write(fresh / "later", {"common/__init__.py": "", "common/mine.py": "here = True\n"}))
    from common.layers import Affine
    from common.mine import here

    assert here and Affine.__module__.startswith("fastnn.")


def test_installing_too_late_is_an_error(fresh):
    write(fresh, {"common/__init__.py": "", "common/layers.py": "class Affine: pass\n"})
    from common.layers import Affine

    with pytest.raises(RuntimeError, match=r"common.layers is imported already.*call install\('dlfs'\) before"):
        compat.install("dlfs")
    import common.layers

    assert common.layers.Affine is Affine
    assert compat.install("dlfs", only=["common.util"]) == ("common.util",)


def test_two_courses_with_one_name(fresh):
    compat.install("dlfs")
    with pytest.raises(ValueError, match=r"common.functions is fastnn.compat.dlfs.functions already; run the course 'dlfs2'"):
        compat.install("dlfs2")


ADDITIONS = """
    import numpy as np
    from common.functions import *

    class Affine:
        pass

    class LeakyRelu:
        def forward(self, x):
            return np.where(x > 0, x, 0.1 * relu(-x))

    class Rows(Affine):
        def forward(self, x):
            return super().forward(x.reshape(len(x), -1))

    SLOPE, (first, *_rest) = 0.1, (1, 2, 3)
    rate: float = 0.5
    """


def test_what_is_added_to_a_module_stays(fresh):
    write(fresh, {"common/__init__.py": "", "common/functions.py": BROKEN, "common/layers.py": ADDITIONS})
    compat.install("dlfs")
    from common import layers as own

    from fastnn.compat.dlfs import layers

    assert own.Affine is layers.Affine is own.Rows.__base__
    assert own.Rows(np.eye(2), np.ones(2)).forward(np.ones((3, 1, 2))).tolist() == [[2, 2]] * 3
    assert own.LeakyRelu().forward(np.array([-2.0, 3.0])).tolist() == [0.2, 3]
    assert (own.SLOPE, own.first, own.rate) == (0.1, 1, 0.5)
    assert own.__file__ == str(fresh / "common" / "layers.py")
    assert own.__name__ == "common.layers" and layers.__name__ == "fastnn.compat.dlfs.layers"


def test_a_file_of_python_2_is_told(fresh):
    write(fresh, {"common/__init__.py": "", "common/functions.py": "print 'a book for Python 2'\ndef relu(x): return x\n"})
    compat.install("dlfs")
    with pytest.warns(UserWarning, match=r"functions\.py is written in Python 2 \(line 1: Missing parentheses"):
        import common.functions

    assert common.functions.__name__ == "fastnn.compat.dlfs.functions"


def test_a_mistake_in_what_is_added_is_told(fresh):
    write(fresh, {"common/__init__.py": "", "common/layers.py": ADDITIONS + "\ndef forward(self, x:\n"})
    compat.install("dlfs")
    with pytest.raises(SyntaxError) as raised:
        import common.layers  # noqa: F401
    assert raised.value.filename == str(fresh / "common" / "layers.py")


@pytest.mark.parametrize("text", ["def _helper(): pass\nraise ImportError\n", "def relu(x): return x\nraise ImportError\n"])
def test_a_file_without_additions_is_not_run(fresh, text):
    write(fresh, {"common/__init__.py": "", "common/functions.py": text})
    compat.install("dlfs")
    import common.functions

    assert common.functions.__name__ == "fastnn.compat.dlfs.functions"


@pytest.mark.parametrize(("course", "name"), [(course, name) for course, table in compat.COURSES.items() for name in table])
def test_a_module_gives_only_the_courses_names(course, name):
    """Or an addition of such a name would give way to a helper."""
    names = compat.public(importlib.import_module(compat.COURSES[course][name]))
    assert not names.keys() & {"as_float", "kernels", "linear", "promoted", "updated", "Any"}


def test_modules_that_lie_elsewhere(fresh):
    write(fresh, {"week2/__init__.py": "", "week2/common/__init__.py": "", "week2/common/layers.py": BROKEN})
    assert compat.install("dlfs", only=["common.layers"], package="week2.common") == ("week2.common.layers",)
    assert compat.install("coursera", only=iter(["dnn_utils_v2"]), package="week2") == ("week2.dnn_utils_v2",)
    from week2.common.layers import Affine
    from week2.dnn_utils_v2 import relu

    assert Affine.__module__ == "fastnn.compat.dlfs.layers" and relu.__module__ == "fastnn.compat.coursera.dnn"
    with pytest.raises(ModuleNotFoundError):
        import common.layers  # noqa: F401


def test_wrong_names(fresh):
    with pytest.raises(ValueError, match="one of .*'cs231n', 'dlfs'.*got 'cs229'"):
        compat.install("cs229")
    with pytest.raises(ValueError, match="only must name some of 'cs231n.fast_layers'.*got 'fast_layers'"):
        compat.install("cs231n", only=["fast_layers"])
    with pytest.raises(TypeError, match=r"only must be a list of modules, such as \['cs231n.layers'\]; got 'cs231n.layers'"):
        compat.install("cs231n", only="cs231n.layers")
    assert compat._finder not in sys.meta_path


@pytest.mark.parametrize(("course", "name"), [(course, name) for course, table in compat.COURSES.items() for name in table])
def test_every_module_of_the_table_can_be_imported(course, name):
    assert importlib.import_module(compat.COURSES[course][name]).__name__.startswith(f"fastnn.compat.{course}")


SCRIPT = """
    # coding: utf-8
    import sys, os
    sys.path.append(os.pardir)  # as the book's scripts begin
    import numpy as np
    from common.layers import *
    from common.util import im2col
    from common.gradient import numerical_gradient
    from common.optimizer import SGD
    from common.small_net import SmallNet
    import helper

    if __name__ == '__main__':
        np.random.seed(0)
        net = SmallNet(2, 8, 2)
        x = np.random.rand(50, 2)
        t = (x[:, 0] > x[:, 1]).astype(int)
        W1 = net.params['W1']
        optimizer = SGD(lr=float(sys.argv[1]))
        for i in range(300):
            optimizer.update(net.params, net.gradient(x, t))
        assert net.params['W1'] is W1
        grads, numeric = net.gradient(x, t), numerical_gradient(lambda _: net.loss(x, t), net.params['W2'])
        assert np.abs(grads['W2'] - numeric).max() < 1e-5
        print(sys.argv, os.path.basename(__file__), helper.ANSWER)
        print(Affine.__module__, SmallNet.__module__, im2col(x.reshape(50, 1, 1, 2), 1, 1).shape)
        print('loss', round(float(net.loss(x, t)), 6))
        sys.exit(3)
    """
DLFS = {
    "ch05/train.py": SCRIPT,
    "ch05/helper.py": "ANSWER = 42\n",
    "common/__init__.py": "",
    **{f"common/{name}.py": BROKEN for name in ("functions", "gradient", "layers", "optimizer", "trainer", "util")},
    "common/small_net.py": """
        import numpy as np
        from collections import OrderedDict
        from common.layers import *

        class SmallNet:
            def __init__(self, inputs, hidden, outputs):
                self.params = {'W1': 0.5 * np.random.randn(inputs, hidden), 'b1': np.zeros(hidden),
                               'W2': 0.5 * np.random.randn(hidden, outputs), 'b2': np.zeros(outputs)}
                self.layers = OrderedDict()
                self.layers['Affine1'] = Affine(self.params['W1'], self.params['b1'])
                self.layers['Relu1'] = Relu()
                self.layers['Affine2'] = Affine(self.params['W2'], self.params['b2'])
                self.last = SoftmaxWithLoss()

            def loss(self, x, t):
                for layer in self.layers.values():
                    x = layer.forward(x)
                return self.last.forward(x, t)

            def gradient(self, x, t):
                self.loss(x, t)
                dout = self.last.backward(1)
                for layer in reversed(list(self.layers.values())):
                    dout = layer.backward(dout)
                one, two = self.layers['Affine1'], self.layers['Affine2']
                return {'W1': one.dW, 'b1': one.db, 'W2': two.dW, 'b2': two.db}
        """,
}


def run(*args, cwd):
    return subprocess.run(
        [sys.executable, "-m", "fastnn.compat.run", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_script_runs_unmodified(tmp_path):
    write(tmp_path, DLFS)
    done = run("--course", "dlfs", "train.py", "0.5", "--more", cwd=tmp_path / "ch05")
    assert done.returncode == 3, done.stderr  # the script's own
    assert done.stderr == f"fastnn stands in for {', '.join(compat.COURSES['dlfs'])}\n"
    arguments, modules, loss = done.stdout.splitlines()
    assert arguments == "['train.py', '0.5', '--more'] train.py 42"
    assert modules == "fastnn.compat.dlfs.layers common.small_net (100, 1)"
    assert 0 < float(loss.split()[1]) < 0.3


def test_the_runner_replaces_some_modules_only(tmp_path):
    files = {
        **DLFS,
        "common/functions.py": "mine = True\n",
        "script.py": "from common import functions, util; print(functions.mine)\n",
    }
    write(tmp_path, files)
    done = run("--course", "dlfs", "--only", "common.util", "script.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "fastnn stands in for common.util\n")


def test_the_runner_says_if_nothing_was_replaced(tmp_path):
    write(
        tmp_path, {"week2/common/functions.py": BROKEN, "script.py": "from week2.common.functions import relu; print(relu(-1))\n"}
    )
    done = run("--course", "dlfs", "--package", "week2.common", "--only", "common.functions", "script.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "fastnn stands in for week2.common.functions\n")
    done = run("--course", "dlfs", "script.py", cwd=tmp_path)
    assert done.returncode == 1 and "the course's own module was imported" in done.stderr
    assert "the script imported none of these: nothing was replaced (--package says where they lie)" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--course", "dlfs", "absent.py"], "there is no file absent.py"),
        (["--course", "cs229", "train.py"], "invalid choice: 'cs229'"),
        (["--course", "dlfs", "--only", "layers", "train.py"], "only must name some of 'common.functions'"),
    ],
)
def test_wrong_command_lines(tmp_path, args, message):
    (tmp_path / "train.py").touch()
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and done.stdout == ""
