"""What messages say of arguments that do not fit."""

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, losses, metrics, ops, optimizers, regularizers
from fastnn.testing import check_layer


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda: fastnn.Sequential([layers.Flatten]), "Flatten"),
        (lambda: layers.Dense(3, activation=layers.ReLU), "ReLU"),
        (lambda: layers.Dense(3, kernel_regularizer=regularizers.L2), "L2"),
        (lambda: fastnn.Sequential().compile(optimizers.Adam, "mse"), "Adam"),
        (lambda: fastnn.Sequential().compile("adam", losses.MeanSquaredError), "MeanSquaredError"),
        (lambda: metrics.get(metrics.Accuracy), "Accuracy"),
        (lambda: callbacks.CallbackList([callbacks.EarlyStopping]), "EarlyStopping"),
        (lambda: check_layer(layers.Tanh, (3,)), "Tanh"),
    ],
)
def test_a_class_for_one_of_its_objects(use, name):
    with pytest.raises(TypeError, match=rf"; got the class {name}: make one of it, {name}\(\.\.\.\)$"):
        use()


def test_what_is_no_layer_is_shown_shortened():
    with pytest.raises(TypeError, match="^layer must be a fastnn.layers.Layer; got 'dense'$"):
        fastnn.Sequential(["dense"])
    with pytest.raises(TypeError) as error:
        fastnn.Sequential([np.arange(1000)])
    assert len(str(error.value)) < 130


def test_pairs_of_gradients_and_variables():
    v = fastnn.Variable([1.0])
    gradient = np.ones(1, dtype=np.float32)
    for wrong, got in (([[gradient], [v]], "ndarray"), ([(gradient, "v")], "ndarray, str"), ([gradient], "ndarray")):
        with pytest.raises(TypeError, match=rf"pairs of a gradient and a Variable, .*; got \({got}\) among them"):
            optimizers.SGD(0.5).apply_gradients(wrong)
    optimizers.SGD(0.5).apply_gradients([[gradient, v]])
    assert v.numpy() == [0.5]


def test_a_model_without_a_loss_cannot_be_fitted():
    model = fastnn.Sequential([layers.Dense(1)])
    with pytest.raises(RuntimeError, match="has no optimizer and loss yet"):
        model.fit(np.ones((2, 3)), np.ones((2, 1)))
    model.compile("adam")
    with pytest.raises(RuntimeError, match="was compiled without a loss"):
        model.fit(np.ones((2, 3)), np.ones((2, 1)))


@pytest.mark.parametrize("given", [{"scale": "1/255"}, {"scale": 1.0, "offset": None}, {"scale": [1.0, "2"]}, {"scale": True}])
def test_rescaling_by_what_is_no_number(given):
    with pytest.raises(TypeError, match="^(scale|offset) must be a number, or numbers; got"):
        layers.Rescaling(**given)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_matrices_that_do_not_fit(dtype):
    with pytest.raises(ValueError, match=r"^a must have as many columns as b has rows; got shapes \(2, 3\) and \(2, 3\)$"):
        ops.matmul(np.ones((2, 3), dtype), np.ones((2, 3), dtype))
