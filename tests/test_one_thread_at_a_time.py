"""One model and several threads: predictions at any time, training and evaluation by one thread, layers built once."""

import contextlib
import copy
import pickle
import threading

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers
from fastnn.estimators import MLPClassifier

ROWS = np.random.default_rng(4).standard_normal((40, 6)).astype(np.float32)
LABELS = np.arange(40) % 3


def network():
    fastnn.set_seed(2)
    model = fastnn.Sequential([layers.Input((6,)), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")], name="net")
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def train(model, **arguments):
    model.fit(ROWS, LABELS, batch_size=8, epochs=2, shuffle=False, verbose=0, **arguments)


@contextlib.contextmanager
def in_another_thread(run):
    """Start ``run(callback)`` in a thread; the block begins after its first epoch, and the thread goes on after the block."""
    begun, go_on = threading.Event(), threading.Event()

    def pause(epoch, logs):
        begun.set()
        assert go_on.wait(60)

    thread = threading.Thread(target=run, args=(callbacks.LambdaCallback(on_epoch_end=pause),))
    thread.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        go_on.set()
        thread.join()


@pytest.mark.parametrize(
    "use",
    [
        lambda model: train(model),
        lambda model: model.fit(iter([(ROWS, LABELS)]), verbose=0),
        lambda model: model.evaluate(ROWS, LABELS),
        lambda model: model.test_on_batch(ROWS, LABELS),
        lambda model: model.train_on_batch(ROWS, LABELS),
    ],
    ids=["fit", "fit batches", "evaluate", "test_on_batch", "train_on_batch"],
)
def test_a_second_thread_is_refused_and_changes_nothing(use):
    alone, model = network(), network()
    train(alone)
    with in_another_thread(lambda callback: train(model, callbacks=[callback])):
        with pytest.raises(RuntimeError, match=r"model 'net' is being trained or evaluated by another thread"):
            use(model)
        assert model.predict(ROWS).shape == (40, 3)
        use(copy.deepcopy(model))
        use(pickle.loads(pickle.dumps(model)))
    for mine, expected in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, expected)
    use(model)


def test_a_second_thread_is_refused_by_estimators():
    model = MLPClassifier((4,), max_iter=2, random_state=0)
    model.partial_fit(ROWS, LABELS, classes=[0, 1, 2])
    with in_another_thread(lambda callback: model.set_params(callbacks=[callback]).partial_fit(ROWS, LABELS)):
        assert model.predict(ROWS).shape == (40,)
        with pytest.raises(RuntimeError, match="by another thread"):
            model.partial_fit(ROWS, LABELS)


def test_callbacks_evaluate_and_train_in_the_thread_of_fit():
    model, losses = network(), []

    def evaluate(epoch, logs):
        losses.append(model.evaluate(ROWS, LABELS, batch_size=40)[0])
        model.train_on_batch(ROWS[:8], LABELS[:8])
        model.fit(ROWS[:24], LABELS[:24], batch_size=8, verbose=0)

    train(model, callbacks=[callbacks.LambdaCallback(on_epoch_end=evaluate)])
    assert len(losses) == 2
    assert model.optimizer.iterations == 2 * (5 + 1 + 3)


def test_two_threads_build_a_layer_once():
    begun, go_on = threading.Event(), threading.Event()

    def slow(shape, dtype):
        begun.set()
        assert go_on.wait(60)
        return np.ones(shape, dtype)

    layer = layers.Dense(2, kernel_initializer=slow)
    workers = [threading.Thread(target=layer.build, args=((None, 3),)) for _ in range(2)]
    workers[0].start()
    assert begun.wait(60)
    workers[1].start()
    workers[1].join(0.05)
    assert workers[1].is_alive()  # it waits
    go_on.set()
    for worker in workers:
        worker.join()
    assert [weight.shape for weight in layer.weights] == [(3, 2), (2,)]
