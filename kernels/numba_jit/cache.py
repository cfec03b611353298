"""Compiled code, kept in files from one process to the next where a folder can be written.

The folder is in ``NUMBA_CACHE_DIR`` or, where that is not set, in the user's cache folder; never in the package's own, where files
that nobody installed would stay after an uninstall. Where it cannot be written, as for a service without a home, every process
compiles what it does not hold, and a warning says so. It is read in any case: it may be part of an image that nobody can change.
"""

import contextlib
import functools
import hashlib
import pathlib
import sys
import threading
import warnings

from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature
from numba.misc.appdirs import AppDirs

SOURCES = pathlib.Path(__file__).parent


class NotKept(UserWarning):
    """Compiled code could not be written to the folder."""


@functools.cache
def folder() -> pathlib.Path:
    """Return the folder where the compiled code of this installation is kept."""
    installation = hashlib.sha256(str(SOURCES).encode()).hexdigest()[:16]
    parent = config.CACHE_DIR or AppDirs(appname="numba", appauthor=False).user_cache_dir
    return pathlib.Path(parent, f"fastnn_{installation}")


@functools.cache  # once in a process; Python's own memory of warnings does not outlast Numba's compiler
def _tell_not_kept(reason: str) -> None:
    warnings.warn(
        f"compiled kernels cannot be kept in {folder()} ({reason}), so every process will compile them anew; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        NotKept,
        stacklevel=2,
    )


@functools.cache
def _sources_digest() -> str:
    """Return a digest of all sources that a kernel may be made of: functions in several files, the spec, layouts of records."""
    digest = hashlib.sha256()
    for path in sorted(path for name in ("numba_jit", "spec", "custom") for path in SOURCES.parent.glob(f"{name}/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Locator:
    """Where Numba keeps a function, and what makes that stale."""

    def __init__(self, function, path):
        self._py_file = path
        self._function = function

    def ensure_cache_path(self):
        folder().mkdir(parents=True, exist_ok=True)

    def get_cache_path(self):
        return str(folder())

    def get_source_stamp(self):
        return _sources_digest()

    def get_disambiguator(self):
        return str(self._function.__code__.co_firstlineno)

    @classmethod
    def from_function(cls, function, path):
        return cls(function, path)


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _Cache(FunctionCache):
    _impl_class = _CacheImpl

    def load_overload(self, signature, target_context):
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # whatever is wrong with a file: one that cannot be read, or one that a crash left half written
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, data):
        try:
            super().save_overload(signature, data)
        except OSError as error:
            _tell_not_kept(error.strerror)

    def _index_key(self, signature, codegen):
        # Numba's own key has the values that a function closes over, of which other functions differ from process to process. Here
        # they are known by the op, which is in the signature, and by the sources' digest.
        return signature, codegen.magic_tuple()


def compiled(function, signature) -> CFunc:
    """Return the function as machine code with a C calling convention, from the cache or compiled now."""
    options = {"nopython": True, "fastmath": {"contract"}, "error_model": "numpy"}
    code = CFunc(function, normalize_signature(signature), {}, options)
    code._cache = _Cache(function)  # as enable_caching does, with a folder and a stamp of our own
    with _interruptible():
        code.compile()
    return code


@contextlib.contextmanager
def _interruptible():
    """Raise the KeyboardInterrupt that came while LLVM, which takes most of the time, called back: ctypes would only print it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no signals come here
        return
    hook, lost = sys.unraisablehook, []
    sys.unraisablehook = lambda args: (lost.append if args.exc_type is KeyboardInterrupt else hook)(args)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if lost:
            raise KeyboardInterrupt
