"""Steps of kernels in order, and tasks for threads: without a threading layer of Numba's.

Numba's own ones belong to the process (the first parallel function decides for all others), and the one that is always there,
workqueue, ends the process when two Python threads use it at once. So the threads here are Python's. While one of them runs a
list of steps, without the interpreter lock, others look for tasks in its job. It takes tasks itself and waits only for those that
somebody else has taken, so it never depends on a helper. Every run has a job of its own, and helpers that are busy with another
job do not come: that makes runs from several Python threads safe.
"""

import ctypes
import functools
import os
import queue
import threading

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import threads
from . import cache
from .pointers import WORDS, inline, is_null

# A job: what the thread that runs steps shares with its helpers. LEFT counts the tasks that nobody has taken yet; who takes one
# decreases it, and may read the other words only if it was positive, for then the step cannot end before the task has.
LEFT, DONE, TASKS, FUNCTION, CALL, ITEMS, GRAIN, OVER = range(0, 64, 8)  # one to a cache line
JOB_WORDS = 64

#: how often to look for work before the processor is offered to somebody else, and before it is left for a while
SPINS, YIELDS = 256, 2048
NAP_MICROSECONDS = 50

sched_yield = types.ExternalFunction("sched_yield", types.intc())
usleep = types.ExternalFunction("usleep", types.intc(types.uintc))


@intrinsic
def load(typing_context, words, place):
    """Read a word that other threads write."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "seq_cst", 8)

    return types.int64(words, types.intp), codegen


@intrinsic
def store(typing_context, words, place, value):
    """Write a word that other threads read."""

    def codegen(context, builder, signature, args):
        builder.store_atomic(args[2], builder.gep(args[0], [args[1]]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), codegen


@intrinsic
def add(typing_context, words, place, value):
    """Add to a word that several threads change; return what it was."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "seq_cst")

    return types.int64(words, types.intp, types.int64), codegen


@intrinsic
def invoke(typing_context, function, call, first, last):
    """Call a step by its address."""

    def codegen(context, builder, signature, args):
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word, word, word])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*(4 * [types.int64])), codegen


@inline
def pause(waited):
    """Wait for other threads, the `waited`-th time in a row."""
    if waited > SPINS + YIELDS:
        usleep(NAP_MICROSECONDS)
    elif waited > SPINS:
        sched_yield()


@inline
def work(job):
    """Do tasks until all are taken."""
    while True:
        left = add(job, LEFT, -1)
        if left <= 0:
            return
        first = (job[TASKS] - left) * job[GRAIN]
        invoke(job[FUNCTION], job[CALL], first, min(first + job[GRAIN], job[ITEMS]))
        add(job, DONE, 1)


def run_steps(steps, count, times, job):
    """Run all steps in order, `times` times over; `steps` has (function, call, items, grain) of each, `job` may be NULL."""
    for _ in range(times):
        for i in range(count):
            function, call, items, grain = steps[4 * i], steps[4 * i + 1], steps[4 * i + 2], steps[4 * i + 3]
            if grain == 0 or grain >= items or is_null(job):
                invoke(function, call, 0, items)
                continue
            tasks = (items + grain - 1) // grain
            job[TASKS] = tasks
            job[FUNCTION] = function
            job[CALL] = call
            job[ITEMS] = items
            job[GRAIN] = grain
            job[DONE] = 0
            store(job, LEFT, tasks)
            work(job)
            waited = 0
            while load(job, DONE) < tasks:
                waited += 1
                if waited > SPINS:
                    sched_yield()
    if not is_null(job):
        store(job, OVER, 1)


def help_with(job):
    """Take tasks of a job until it is over."""
    waited = 0
    while load(job, OVER) == 0:
        if load(job, LEFT) > 0:
            work(job)
            waited = 0
        else:
            waited += 1
            pause(waited)


class _Helpers:
    """Python threads that wait for jobs."""

    def __init__(self):
        self._started = 0
        self._starting = threading.Lock()
        self._idle = threading.Semaphore(0)
        self._jobs = queue.SimpleQueue()

    def join(self, job, wanted):
        """Send up to `wanted` threads that have nothing to do; those that were never needed before are started."""
        with self._starting:
            while self._started < wanted:
                threading.Thread(target=self._serve, name="fastnn-helper", daemon=True).start()
                self._started += 1
                self._idle.release()
        for _ in range(wanted):
            if not self._idle.acquire(blocking=False):
                return
            self._jobs.put(job)

    def _serve(self):
        while True:
            job = self._jobs.get()
            native()[1](job.ctypes.data)
            del job
            self._idle.release()


_helpers: _Helpers
_compiling: threading.Lock


def _forget_helpers():
    """Begin without helpers: at import, and in a child made by fork, to which no threads come along."""
    global _helpers, _compiling
    _helpers, _compiling = _Helpers(), threading.Lock()


_forget_helpers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)


def native():
    """Return `run_steps` and `help_with`, compiled, as functions that ctypes calls without the interpreter lock."""
    with _compiling:
        return _compiled()[0]


@functools.cache
def _compiled():
    run_code = cache.compiled(run_steps, types.void(WORDS, types.int64, types.int64, WORDS))
    help_code = cache.compiled(help_with, types.void(WORDS))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    run_function = ctypes.CFUNCTYPE(None, pointer, number, number, pointer)(run_code.address)
    return (run_function, ctypes.CFUNCTYPE(None, pointer)(help_code.address)), (run_code, help_code)


def run(steps: np.ndarray, times: int = 1) -> None:
    """Run steps, an int64 array of rows (function, call, items, grain; 0: not to be cut), `times` times over."""
    wanted = threads.get_num_threads() - 1
    job = None
    if wanted and steps[:, 3].any():
        job = np.zeros(JOB_WORDS, np.int64)
        _helpers.join(job, wanted)
    native()[0](steps.ctypes.data, len(steps), times, None if job is None else job.ctypes.data)
