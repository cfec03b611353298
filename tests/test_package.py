"""What an import costs and brings along, the threads setting, and the two ways a checkout and an installed copy can meet."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn.kernels import threads
from fastnn.kernels.backends import BACKENDS

REQUIRED = ("numpy", "safetensors", "tqdm")
HEAVY = ("numba", "sklearn", "scipy", "matplotlib", "PIL", "pandas", "tqdm", "onnx", "h5py")


def run_python(code, *args, cwd=None, **environment):
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, *args, "-c", code],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light(tmp_path):
    code = (
        "import sys, time, numpy; start = time.perf_counter(); import fastnn; took = time.perf_counter() - start;"
        f"print([name for name in {HEAVY} if name in sys.modules]); print(f'import fastnn: {{took * 1e3:.0f}} ms')"
    )
    heavy, took = run_python(code, cwd=tmp_path).splitlines()
    print(took)  # not asserted: the machine may be busy
    assert heavy == "[]"


def test_every_public_name_is_there():
    assert set(fastnn.__all__) <= set(dir(fastnn))
    for name in fastnn.__all__:
        assert getattr(fastnn, name).__name__.rpartition(".")[2] in (name, "InputLayer"), name
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'Sequentia'"):
        fastnn.Sequentia  # noqa: B018


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(fastnn.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")
    seen = [alias.name for statement in block.body for alias in statement.names]
    assert sorted(seen) == sorted(fastnn.__all__)


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"FASTNN_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3"),
        ({"FASTNN_NUM_THREADS": "", "OMP_NUM_THREADS": "2"}, "2"),
        ({"FASTNN_NUM_THREADS": "", "OMP_NUM_THREADS": "5,4"}, "5"),
    ],
)
def test_threads_come_from_the_environment(environment, threads):
    assert run_python("import fastnn; print(fastnn.get_num_threads())", **environment) == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to processors")
def test_threads_default_to_the_processors_of_the_process():
    code = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); import fastnn; print(fastnn.get_num_threads())"
    assert run_python(code, FASTNN_NUM_THREADS="", OMP_NUM_THREADS="") == "1"


@pytest.mark.parametrize("given", ["0", "-1", "two", "1025"])
def test_wrong_threads_in_the_environment_are_named(monkeypatch, given):
    monkeypatch.setenv("FASTNN_NUM_THREADS", given)
    with pytest.raises(ValueError, match=f"FASTNN_NUM_THREADS.*1 to 1024.*{given}"):
        threads.default_num_threads()


@pytest.mark.parametrize("given", [0, -2, 1025, 1.5, "2", None])
def test_wrong_threads_are_named(given):
    before = fastnn.get_num_threads()
    with pytest.raises(ValueError if isinstance(given, int) else TypeError, match="threads must be an integer from 1 to 1024, got"):
        fastnn.set_num_threads(given)
    assert fastnn.get_num_threads() == before


@pytest.mark.skipif(not BACKENDS["cython"].installed(), reason="no compiled kernels")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_uses_one_thread_and_computes():
    code = """
import os, numpy as np, fastnn
from fastnn.kernels.cython_aot import call
fastnn.set_num_threads(2)
assert call.get_num_threads() == 2
a = np.ones((400, 400), np.float32)
fastnn.kernels.matmul(a, a)
child = os.fork()
if child == 0:
    right = fastnn.get_num_threads() == call.get_num_threads() == 1 and (fastnn.kernels.matmul(a, a) == 400).all()
    os._exit(0 if right else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), call.get_num_threads())
"""
    assert run_python(code, "-W", "ignore::DeprecationWarning") == "0 2"


@pytest.mark.skipif(not BACKENDS["cython"].installed(), reason="no compiled kernels")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_threads_that_a_forked_child_would_wait_for_are_refused():
    code = """
import os, numpy as np, fastnn
def child(run):
    number = os.fork()
    if number == 0:
        os._exit(run() or 0)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
def set_two():
    try:
        fastnn.set_num_threads(2)
    except RuntimeError as error:
        assert "made by fork" in str(error) and fastnn.get_num_threads() == 1
        return 9
a = np.ones((400, 400), np.float32)
fastnn.set_num_threads(2)
print(child(lambda: set_two() or fastnn.kernels.matmul(a, a)[0, 0] != 400))  # no kernel had run
fastnn.kernels.matmul(a, a)
print(child(set_two), child(lambda: child(set_two)))
"""
    assert run_python(code, "-W", "ignore::DeprecationWarning").split() == ["0", "9", "9"]


@pytest.mark.parametrize(
    ("files", "cpus"),
    [({"max": "150000 100000"}, 2), ({"max": "max 100000"}, 3), ({"max": "1000 100000"}, 1), ({"max": "900000 100000"}, 3)]
    + [
        ({"quota": "200000", "period": "100000"}, 2),
        ({"quota": "-1", "period": "100000"}, 3),
        ({"quota": "100000"}, 3),
        ({"max": ""}, 3),
        ({}, 3),
    ],
)
def test_threads_are_no_more_than_a_container_has_time_for(files, cpus, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(threads, "QUOTAS", ((f"{tmp_path}/max",), (f"{tmp_path}/quota", f"{tmp_path}/period")))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    assert threads.available_cpus() == cpus


def test_docstrings_may_be_left_out():
    code = "import fastnn.compat.run as run; run.main(['--help'])"
    assert "Run an unmodified script" in run_python(code, "-OO")


def test_show_config_names_version_backends_and_threads():
    lines = []
    fastnn.show_config(lines.append)
    (text,) = lines
    assert fastnn.__version__ in text
    for name in BACKENDS:
        assert f"{name} backend" in text
    assert f"threads          {fastnn.get_num_threads()} " in text
    assert text.count("active") == 1


def test_kernels_compiled_from_another_source_are_refused():
    lines = "from fastnn.kernels import spec; spec.contract = lambda family: family; import fastnn.kernels.cython_aot"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert "ImportError: the kernels of fastnn.kernels.cython_aot." in done.stderr and "compile them again" in done.stderr


def test_without_a_gpu_the_message_says_what_is_missing():
    if BACKENDS["cuda"].installed():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ImportError, match=r"pip install 'fastnn-kernels\[cuda\]'|needs an NVIDIA GPU and its driver"):
        fastnn.use_backend("cuda")
    assert fastnn.kernels.active_backend() != "cuda"


class TestCheckoutBesideAnInstalledCopy:
    """The shell stands in the repository's root: ./fastnn, which has no kernels in it, comes before the installed package."""

    @pytest.fixture
    def checkout(self, tmp_path):
        """Return a root with ./fastnn and ./kernels, as a clone has them."""
        package = Path(fastnn.__file__).parent
        root = tmp_path / "checkout"
        (root / "fastnn").mkdir(parents=True)
        (root / "kernels").mkdir()
        shutil.copy(package / "__init__.py", root / "fastnn")
        return root

    @pytest.fixture
    def installed(self, tmp_path):
        """Return a folder like site-packages, with the package whole and kernels inside, as installing lays it out."""
        site = tmp_path / "site"
        ignore = shutil.ignore_patterns("__pycache__", "data", "*.pyx", "*.c")
        shutil.copytree(Path(fastnn.__file__).parent, site / "fastnn", ignore=ignore)
        shutil.copytree(Path(fastnn.kernels.__file__).parent, site / "fastnn" / "kernels", ignore=ignore, dirs_exist_ok=True)
        return site

    def run(self, code, checkout, *installed):
        """Run code in the checkout, where of this environment's packages only those that fastnn requires can be found."""
        homes = {str(Path(importlib.util.find_spec(name).origin).parents[1]) for name in REQUIRED}
        finder = f"""
import importlib.machinery, sys
class RequiredOnly:
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.PathFinder.find_spec(name, {sorted(homes)}) if name in {REQUIRED} else None
sys.meta_path.append(RequiredOnly())
sys.path.insert(0, "")
"""
        return run_python(finder + code, "-S", cwd=checkout, PYTHONPATH=os.pathsep.join(map(str, installed)))

    def test_the_installed_kernels_are_used(self, checkout, installed):
        code = "import fastnn; print(fastnn.kernels.__file__); print(fastnn.kernels.matmul([[2.0]], [[3.0]]))"
        out = self.run(code, checkout, installed).splitlines()
        assert out == [str(installed / "fastnn" / "kernels" / "__init__.py"), "[[6.]]"]

    def test_python_m_fastnn_works_there(self, checkout, installed):
        code = "import runpy; sys.argv = ['fastnn', '--version']; runpy.run_module('fastnn', run_name='__main__')"
        assert self.run(code, checkout, installed) == f"fastnn {fastnn.__version__}"

    def test_without_an_installed_copy_the_error_says_what_to_do(self, checkout):
        code = "try:\n    import fastnn\nexcept ImportError as error:\n    print(error)"
        assert f"run `pip install -e .` in {checkout}" in self.run(code, checkout)
