"""Weights, and what optimizers keep for each, start at a cache line; the memory of models and steps is freed when it should be."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import memory
from fastnn.layers import Dense
from fastnn.program import Arena
from fastnn.training import Batch

ROWS = np.random.default_rng(0).standard_normal((16, 7)).astype(np.float32)
USES = {
    "fit": lambda model: model.fit(ROWS, ROWS, batch_size=5, verbose=0),
    "fit, one step": lambda model: model.fit(ROWS, ROWS, batch_size=16, verbose=0),
    "fit batches": lambda model: model.fit(iter([(ROWS, ROWS)]), verbose=1),
    "evaluate": lambda model: model.evaluate(ROWS, ROWS),
    "predict": lambda model: model.predict(ROWS),
    "predict many": lambda model: model.predict(ROWS, batch_size=4),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("shape", [(), (0, 3), (3, 5), (7, 11, 13)])
def test_arrays_start_at_a_cache_line(shape, dtype):
    array = memory.empty(shape, dtype)
    assert (array.shape, array.dtype, array.flags.c_contiguous) == (shape, np.dtype(dtype), True)
    assert array.ctypes.data % 64 == 0


def test_a_copy_is_equal_and_in_native_order():
    given = np.arange(12, dtype=">f4").reshape(3, 4).T
    copied = memory.copy_of(given)
    np.testing.assert_array_equal(copied, given)
    assert copied.dtype == np.dtype(np.float32)
    assert copied.dtype.isnative
    copied[:] = 0
    assert given[2, 1] == 6


@pytest.mark.parametrize("duplicate", [lambda model: model, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_weights_and_slots_start_at_a_cache_line(duplicate):
    model = fastnn.Sequential([Dense(5, "relu"), Dense(3)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).standard_normal((16, 7)).astype(np.float32)
    model.fit(x, x[:, :3], epochs=1, verbose=0)
    model = duplicate(model)
    model.fit(x, x[:, :3], epochs=1, verbose=0)
    slots = [slot for _, state in model.optimizer._state.values() for slot in state.values()]
    assert len(slots) == 8
    assert {array.ctypes.data % 64 for array in [*slots, *(weight.data for weight in model.weights)]} == {0}


def network():
    model = fastnn.Sequential([Dense(5, "relu"), Dense(7)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_model_that_nobody_holds_is_freed_at_once(use):
    gc.collect()
    gc.disable()
    try:
        model = network()
        arena, alive = weakref.ref(model._arena), weakref.ref(model)
        use(model)
        del model
        assert alive() is arena() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_there_was_no_memory_for_keeps_none(use, monkeypatch):
    def fail(self, size):
        raise MemoryError

    model = network()
    model.build((None, 7))
    with monkeypatch.context() as patch:
        patch.setattr(Arena, "take", fail)
        with pytest.raises(MemoryError):
            use(model)
    gc.collect()
    assert not [kept for kept in gc.get_objects() if issubclass(type(kept), Batch) and kept.x.shape[1:] == (7,)]
    use(model)
