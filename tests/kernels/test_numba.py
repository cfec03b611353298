"""The Numba backend beyond its arithmetic: what it compiles and keeps, and threads."""

import ctypes
import errno
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from fastnn.cli import main
from fastnn.kernels import backends, matmul, use_backend
from fastnn.kernels.custom import coefficients
from fastnn.kernels.threads import get_num_threads, set_num_threads

pytestmark = pytest.mark.skipif(not backends.BACKENDS["numba"].installed(), reason="Numba is not installed")

#: computes something that is quickly compiled, and says where the machine code came from
RELU = """
import json, sys
import numpy as np
from fastnn.kernels import relu_forward, use_backend
assert "numba" not in sys.modules
use_backend("numba")
from fastnn.kernels.numba_jit import KERNELS, cache
compiled = []
cache.compiled, compile = (lambda *args: compiled.append(compile(*args)) or compiled[-1]), cache.compiled
answer = relu_forward(np.array([-1, 2], np.float32))
print(json.dumps({"right": answer.tolist() == [0, 2], "compiled": [code.__qualname__ for code in compiled],
                  "loaded": sum(code.cache_hits for code in compiled), "folder": str(cache.folder())}))
"""


def relu_in_a_process(warnings="error", **environment):
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", RELU],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


@pytest.fixture
def threads():
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


def test_the_second_process_loads_what_the_first_compiled(tmp_path):
    first, second = (relu_in_a_process(NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first["right"] and second["right"]
    assert first["compiled"] == second["compiled"] == ["_forward.<locals>.forward"]  # nothing that was not called
    assert (first["loaded"], second["loaded"]) == (0, 1)
    assert os.path.dirname(first["folder"]) == str(tmp_path)


def test_without_a_folder_to_write_to_it_compiles_in_each_process_and_says_so(tmp_path):
    (tmp_path / "file").write_text("no folder, not even for root")
    answer = relu_in_a_process("default", NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert answer["right"] and answer["loaded"] == 0
    assert answer["stderr"].count("NotKept") == 1 and "set NUMBA_CACHE_DIR to a folder" in answer["stderr"]


def test_a_folder_that_cannot_be_written_is_read(tmp_path, monkeypatch):
    """As in an image that `fastnn warmup` was part of; root may write everywhere, hence a folder that cannot be made."""
    from numba import types

    from fastnn.kernels.numba_jit import cache

    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    signature = types.int64(types.int64)

    def add_two(x):
        return x + 2

    assert cache.compiled(add_two, signature).cache_hits == 0

    def no_folder(self):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(cache._Locator, "ensure_cache_path", no_folder)
    assert cache.compiled(add_two, signature).cache_hits == 1


def test_a_full_disk_costs_only_the_cache(tmp_path, monkeypatch):
    from numba import types

    from fastnn.kernels.numba_jit import cache

    def no_space(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    monkeypatch.setattr(cache._Locator, "ensure_cache_path", no_space)
    cache._tell_not_kept.cache_clear()
    with pytest.warns(cache.NotKept, match="No space left on device"):
        assert cache.compiled(lambda x: x + 1, types.int64(types.int64)).ctypes(41) == 42


def test_ctrl_c_is_not_lost_while_llvm_compiles(monkeypatch):
    """It comes in a callback then, where ctypes prints exceptions and goes on."""
    from numba import types

    from fastnn.kernels.numba_jit import cache

    @ctypes.CFUNCTYPE(None)
    def called_back():
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.CFunc, "compile", lambda code: called_back())
    hook = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt):
        cache.compiled(lambda x: x + 1, types.int64(types.int64))
    assert sys.unraisablehook is hook


@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
def test_a_file_that_a_crash_left_empty_is_written_anew(tmp_path, kind):
    relu_in_a_process(NUMBA_CACHE_DIR=str(tmp_path))
    for path in tmp_path.rglob(kind):
        path.write_bytes(b"")
    assert [relu_in_a_process(NUMBA_CACHE_DIR=str(tmp_path))["loaded"] for _ in range(2)] == [0, 1]


def test_several_python_threads_at_once(threads):
    rng = np.random.default_rng(0)
    a, b = rng.random((300, 200)), rng.random((200, 400))
    expected = a @ b
    wrong = []

    def work():
        for _ in range(20):
            if not np.allclose(matmul(a, b), expected, rtol=1e-12):
                wrong.append(threading.current_thread().name)

    threads(3)
    with use_backend("numba"):
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not wrong


def test_no_threading_layer_is_chosen_for_the_process():
    code = """
import numba, numpy as np, fastnn
fastnn.use_backend("numba")
fastnn.set_num_threads(2)
a = np.ones((400, 400), np.float32)
assert (fastnn.kernels.matmul(a, a) == 400).all()
try:
    print(numba.threading_layer())
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "Threading layer is not initialized.\n", done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_computes_on_one_thread_and_on_several():
    code = """
import os, numpy as np, fastnn
fastnn.use_backend("numba")
fastnn.set_num_threads(2)
a = np.ones((400, 400), np.float32)
fastnn.kernels.matmul(a, a)
child = os.fork()
if child == 0:
    right = fastnn.get_num_threads() == 1 and (fastnn.kernels.matmul(a, a) == 400).all()
    fastnn.set_num_threads(2)
    os._exit(0 if right and (fastnn.kernels.matmul(a, a) == 400).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, timeout=120).stdout == "0\n"


def test_helpers_that_have_nothing_to_do_do_not_pile_up(threads):
    threads(3)
    a = np.ones((400, 400), np.float32)
    with use_backend("numba"):
        for _ in range(5):
            matmul(a, a)
    helpers = [thread for thread in threading.enumerate() if thread.name == "fastnn-helper"]
    assert 2 <= len(helpers) <= 8


def test_it_is_the_default_where_nothing_was_compiled_ahead(monkeypatch):
    monkeypatch.delenv("FASTNN_BACKEND", raising=False)
    monkeypatch.setitem(backends.BACKENDS, "cython", replace(backends.BACKENDS["cython"], installed=lambda: False))
    assert backends.default_backend() == "numba"
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.warns(UserWarning, match=r"the reference computes, which is slow: pip install 'fastnn-kernels\[numba\]'"):
        assert backends.default_backend() == "numpy"
    monkeypatch.setattr(backends, "_active", None)
    with use_backend("numpy"):  # who chooses it is not warned
        assert backends.active_backend() == "numpy"


def test_without_numba_it_says_what_to_install():
    code = "import sys; sys.modules['numba'] = None; import fastnn; fastnn.use_backend('numba')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "ImportError: the numba backend needs Numba: pip install 'fastnn-kernels[numba]'"


def test_where_numba_is_told_to_compile_nothing_it_says_so():
    code = "import fastnn; fastnn.use_backend('numba')"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "ImportError" in done.stderr and "NUMBA_DISABLE_JIT is set: unset it" in done.stderr


def test_warmup_without_a_folder_says_what_to_set(monkeypatch, capsys):
    backends.kernels_of("numba")
    from numba import types

    from fastnn.kernels.numba_jit import cache
    from fastnn.kernels.numba_jit.call import Kernel

    def fails(self, *args):
        cache._tell_not_kept("Read-only file system")

    cache._tell_not_kept.cache_clear()
    monkeypatch.setattr(cache._Cache, "save_overload", fails)
    monkeypatch.setattr(cache._Cache, "load_overload", lambda *args: None)
    monkeypatch.setattr(Kernel, "compile", lambda kernel: cache.compiled(lambda x: x + 1, types.int64(types.int64)))
    assert main(["warmup"]) == 1
    assert "set NUMBA_CACHE_DIR" in capsys.readouterr().err


def test_warmup_compiles_every_kernel(capsys):
    """The conformance tests have compiled most of them: what is new here is little."""
    assert main(["warmup"]) == 0
    from fastnn.kernels.numba_jit import KERNELS, cache, team

    assert team._compiled.cache_info().currsize == 1  # what runs the steps, too
    assert capsys.readouterr().out == f"{len(KERNELS)} kernels in {cache.folder()}\n"
    steps = {step for kernel in KERNELS.values() for steps in kernel._plan.alternatives for step in steps}
    assert all(step._compiled for step in steps)


@pytest.mark.parametrize(("polynomial", "name"), [("q", "vm_q_f64"), ("p", "vm_p_f64"), ("h", "vm_normal_tail_f64")])
def test_polynomials_are_those_of_the_c_code(polynomial, name):
    header = (pathlib.Path(backends.__file__).parent / "cython_aot" / "vmath.h").read_text()
    body = header.partition(f"VM_INLINE double {name}(")[2].partition("\n}")[0]
    steps = re.findall(rf"\b{polynomial} = (-?[0-9][0-9.e-]+);|\b{polynomial} \* . ([+-] [0-9.e-]+);", body)
    written = tuple(float("".join(step).replace(" ", "")) for step in steps)
    assert len(written) > 8
    assert getattr(coefficients, polynomial.upper()) == written
