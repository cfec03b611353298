"""Compiled code, kept in files from one process to the next where a folder can be written.

The folder is in ``NUMBA_CACHE_DIR`` or, where that is not set, in the user's cache folder; never in the package's own, where files
that nobody installed would stay after an uninstall. Where it cannot be written, as for a service without a home, every process
compiles anew.
"""

import functools
import hashlib
import os
import pathlib

from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature
from numba.misc.appdirs import AppDirs

SOURCES = pathlib.Path(__file__).parent


@functools.cache
def folder() -> pathlib.Path | None:
    """Return the folder where the compiled code of this installation is kept, or None if it cannot be written."""
    installation = hashlib.sha256(str(SOURCES).encode()).hexdigest()[:16]
    parent = config.CACHE_DIR or AppDirs(appname="numba", appauthor=False).user_cache_dir
    path = pathlib.Path(parent, f"fastnn_{installation}")
    probe = path / f"probe-{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return path


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
        pass  # folder() has made it

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

    def _index_key(self, signature, codegen):
        # Numba's own key has the values that a function closes over, of which other functions differ from process to process. Here
        # they are known by the op, which is in the signature, and by the sources' digest.
        return signature, codegen.magic_tuple()


def compiled(function, signature) -> CFunc:
    """Return the function as machine code with a C calling convention, from the cache or compiled now."""

    def code():
        options = {"nopython": True, "fastmath": {"contract"}, "error_model": "numpy"}
        return CFunc(function, normalize_signature(signature), {}, options)

    if folder() is not None:
        kept = code()
        kept._cache = _Cache(function)  # as enable_caching does, with a folder and a stamp of our own
        try:
            kept.compile()
            return kept
        except OSError:
            pass  # the disk is full, or the folder has gone: then without
    new = code()
    new.compile()
    return new
