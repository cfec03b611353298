"""fastnn.compat.coursera: numbers printed in the notebooks, loops as the course writes them, gradient checks at its tolerance."""

import subprocess
import sys

import numpy as np
import pytest

from fastnn.compat import coursera
from fastnn.compat.coursera import dnn_app, initialization, optimization, optimization_v1a, planar, regularization, three_layers


def drawn(seed, *shapes):
    np.random.seed(seed)
    return [np.random.randn(*shape) for shape in shapes]


def three_layer_parameters(seed, *shapes):
    return dict(zip(["W1", "b1", "W2", "b2", "W3", "b3"], drawn(seed, *shapes), strict=True))


def near(given, printed, digits=8):
    """Equal to as many digits behind the point as NumPy prints."""
    np.testing.assert_allclose(given, printed, rtol=0, atol=0.51 * 10**-digits)


# ---- convolution: what the notebooks print


def test_zero_pad():
    (x,) = drawn(1, (4, 3, 3, 2))
    padded = coursera.zero_pad(x, 2)
    assert padded.shape == (4, 7, 7, 2)
    near(padded[1, 2, 2:5], [[0.04221375, 0.58281521], [-1.10061918, 1.14472371], [0.90159072, 0.50249434]])
    assert np.count_nonzero(padded) == x.size
    np.testing.assert_array_equal(coursera.zero_pad(x, 0), x)


def test_conv_single_step_of_both_editions():
    a, W, b = drawn(1, (4, 4, 3), (4, 4, 3), (1, 1, 1))
    Z = coursera.conv_single_step(a, W, b)
    assert isinstance(Z, np.float64)
    assert Z == pytest.approx(-6.999089450680221, rel=1e-14)
    assert coursera.conv_single_step(a, W, b, bias_mode="v1") == pytest.approx(-23.1602122025, rel=1e-11)
    assert coursera.conv_single_step(a, W, 0) == pytest.approx((a * W).sum())


def test_conv_forward_of_the_present_edition():
    A_prev, W, b = drawn(1, (2, 5, 7, 4), (3, 3, 4, 8), (1, 1, 1, 8))
    hparameters = {"pad": 1, "stride": 2}
    Z, cache = coursera.conv_forward(A_prev, W, b, hparameters)
    assert Z.mean() == pytest.approx(0.5511276474566768, rel=1e-13)
    near(Z[0, 2, 1], [-2.17796037, 8.07171329, -0.5772704, 3.36286738, 4.48113645, -2.89198428, 10.99288867, 3.03171932])
    for given, kept in zip((A_prev, W, b, hparameters), cache, strict=True):
        assert given is kept
    near(cache[0][1][2][3], [-1.1191154, 1.9560789, -0.3264995, -1.34267579])
    assert coursera.conv_forward(A_prev, W, b, {"pad": 3, "stride": 1})[0].shape == (2, 9, 11, 8)
    assert coursera.conv_forward(A_prev, W, b, {"pad": 0, "stride": 2})[0].shape == (2, 2, 3, 8)


def test_convolution_of_earlier_editions():
    A_prev, W, b = drawn(1, (10, 4, 4, 3), (2, 2, 3, 8), (1, 1, 1, 8))
    Z, _ = coursera.conv_forward(A_prev, W, b, {"pad": 2, "stride": 1}, bias_mode="v1")
    near(Z.mean(), 0.155859324889, digits=12)
    Z, cache = coursera.conv_forward(A_prev, W, b, {"pad": 2, "stride": 2})
    near(Z.mean(), 0.0489952035289, digits=12)
    near(Z[3, 2, 1], [-0.61490741, -6.7439236, -2.55153897, 1.75698377, 3.56208902, 0.53036437, 5.18531798, 8.75898442])
    dA, dW, db = coursera.conv_backward(Z, cache)
    near([dA.mean(), dW.mean(), db.mean()], [1.45243777754, 1.72699145831, 7.83923256462], digits=11)
    assert db.shape == (1, 1, 1, 8)


def test_pool_forward():
    (A_prev,) = drawn(1, (2, 4, 4, 3))
    hparameters = {"stride": 2, "f": 3}
    A, cache = coursera.pool_forward(A_prev, hparameters)
    near(A, [[[[1.74481176, 0.86540763, 1.13376944]]], [[[1.13162939, 1.51981682, 2.18557541]]]])
    assert cache[0] is A_prev and cache[1] is hparameters
    A, _ = coursera.pool_forward(A_prev, hparameters, mode="average")
    near(A, [[[[0.02105773, -0.20328806, -0.40389855]]], [[[-0.22154621, 0.51716526, 0.48155844]]]])


def test_pool_backward():
    A_prev, dA = drawn(1, (5, 5, 3, 2), (5, 4, 2, 2))
    _, cache = coursera.pool_forward(A_prev, {"stride": 1, "f": 2})
    near(coursera.pool_backward(dA, cache, mode="max")[1, 1], [[0, 0], [5.05844394, -1.68282702], [0, 0]])
    near(
        coursera.pool_backward(dA, cache, mode="average")[1, 1],
        [[0.08485462, 0.2787552], [1.26461098, -0.25749373], [1.17975636, -0.53624893]],
    )


def test_mask_and_distribution():
    np.testing.assert_array_equal(coursera.create_mask_from_window([[1, 3], [4, 2]]), [[False, False], [True, False]])
    np.testing.assert_array_equal(coursera.create_mask_from_window([[2, 2], [1, 2]]), [[True, True], [False, True]])
    np.testing.assert_array_equal(coursera.distribute_value(2, (2, 2)), [[0.5, 0.5], [0.5, 0.5]])


# ---- convolution: against loops


def windows(A_prev, kh, kw, stride, pad=0):
    """Yield each place of the output with its window in the padded images."""
    padded = np.pad(A_prev, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    for h in range((padded.shape[1] - kh) // stride + 1):
        for w in range((padded.shape[2] - kw) // stride + 1):
            rows, columns = slice(h * stride, h * stride + kh), slice(w * stride, w * stride + kw)
            yield h, w, rows, columns, padded[:, rows, columns]


@pytest.mark.parametrize("kh, kw, stride, pad", [(3, 3, 1, 0), (3, 3, 2, 1), (2, 3, 1, 2), (1, 1, 2, 0), (5, 4, 3, 4)])
def test_convolution_is_that_of_loops(kh, kw, stride, pad):
    A_prev, W, b = drawn(2, (2, 6, 7, 3), (kh, kw, 3, 4), (1, 1, 1, 4))
    Z, cache = coursera.conv_forward(A_prev, W, b, {"stride": stride, "pad": pad})
    (dZ,) = drawn(3, Z.shape)
    dA, dW, db = coursera.conv_backward(dZ, cache)
    padded, expected_dW = np.zeros((2, 6 + 2 * pad, 7 + 2 * pad, 3)), np.zeros(W.shape)
    for h, w, rows, columns, window in windows(A_prev, kh, kw, stride, pad):
        np.testing.assert_allclose(Z[:, h, w], np.tensordot(window, W, 3) + b[0, 0, 0], rtol=1e-11, atol=1e-12)
        padded[:, rows, columns] += np.einsum("nc,hwpc->nhwp", dZ[:, h, w], W)
        expected_dW += np.einsum("nhwp,nc->hwpc", window, dZ[:, h, w])
    assert (h, w) == (Z.shape[1] - 1, Z.shape[2] - 1)
    np.testing.assert_allclose(dA, padded[:, pad : pad + 6, pad : pad + 7], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(dW, expected_dW, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(db, dZ.sum(axis=(0, 1, 2)).reshape(1, 1, 1, 4), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("f, stride", [(2, 2), (3, 1), (2, 3), (4, 2)])
@pytest.mark.parametrize("mode", ["max", "average"])
def test_pooling_is_that_of_loops_with_all_ties(f, stride, mode):
    A_prev = np.random.default_rng(4).integers(0, 3, size=(2, 7, 6, 3)).astype(float)  # many equal elements
    A, cache = coursera.pool_forward(A_prev, {"f": f, "stride": stride}, mode)
    (dA,) = drawn(5, A.shape)
    expected, ties = np.zeros(A_prev.shape), 0
    for h, w, rows, columns, window in windows(A_prev, f, f, stride):
        share = dA[:, h, w][:, None, None]
        if mode == "max":
            np.testing.assert_array_equal(A[:, h, w], window.max(axis=(1, 2)))
            mask = window == window.max(axis=(1, 2), keepdims=True)
            ties += (mask.sum(axis=(1, 2)) > 1).sum()
            expected[:, rows, columns] += mask * share
        else:
            np.testing.assert_allclose(A[:, h, w], window.mean(axis=(1, 2)), rtol=1e-12)
            expected[:, rows, columns] += share / f**2
    assert mode == "average" or ties > 5
    np.testing.assert_allclose(coursera.pool_backward(dA, cache, mode), expected, rtol=1e-11, atol=1e-12)


def test_images_of_integers_and_float32_become_float64():
    pixels = np.arange(2 * 4 * 4 * 1, dtype=np.uint8).reshape(2, 4, 4, 1)
    Z, cache = coursera.conv_forward(
        pixels, np.ones((2, 2, 1, 1), dtype=np.float32), np.zeros((1, 1, 1, 1)), {"pad": 0, "stride": 2}
    )
    np.testing.assert_array_equal(Z[0, :, :, 0], [[10, 18], [42, 50]])
    assert Z.dtype == np.float64
    assert {array.dtype for array in coursera.conv_backward(Z, cache)} == {np.dtype(np.float64)}
    A, cache = coursera.pool_forward(pixels.tolist(), {"f": 2, "stride": 2})
    np.testing.assert_array_equal(A[0, :, :, 0], [[5, 7], [13, 15]])
    assert coursera.pool_backward(A, cache).dtype == np.float64


# ---- deep networks: what the notebooks print


def test_initial_parameters():
    parameters = coursera.initialize_parameters(3, 2, 1)
    near(parameters["W1"], [[0.01624345, -0.00611756, -0.00528172], [-0.01072969, 0.00865408, -0.02301539]])
    near(parameters["W2"], [[0.01744812, -0.00761207]])
    np.testing.assert_array_equal(parameters["b1"], [[0.0], [0.0]])
    parameters = coursera.initialize_parameters_deep([5, 4, 3])
    near(parameters["W1"][0], [0.01788628, 0.0043651, 0.00096497, -0.01863493, -0.00277388])
    near(parameters["W2"][0], [-0.01185047, -0.0020565, 0.01486148, 0.00236716])
    assert list(parameters) == ["W1", "b1", "W2", "b2"] and parameters["b2"].shape == (3, 1)
    near(coursera.initialize_parameters_random([3, 2, 1])["W1"][0], [17.88628473, 4.36509851, 0.96497468])
    near(coursera.initialize_parameters_he([2, 4, 1])["W1"][0], [1.78862847, 0.43650985])
    assert not coursera.initialize_parameters_zeros([3, 2, 1])["W1"].any()
    (seed1,), (seed3,) = drawn(1, (2, 3)), drawn(3, (2, 3))
    np.testing.assert_allclose(dnn_app.initialize_parameters_deep([3, 2])["W1"], seed1 / np.sqrt(3), rtol=1e-15)
    np.testing.assert_allclose(regularization.initialize_parameters([3, 2])["W1"], seed3 / np.sqrt(3), rtol=1e-15)
    np.testing.assert_allclose(optimization.initialize_parameters([3, 2])["W1"], seed3 * np.sqrt(2 / 3), rtol=1e-15)


def test_forward():
    A, W, b = drawn(1, (3, 2), (1, 3), (1, 1))
    Z, cache = coursera.linear_forward(A, W, b)
    near(Z, [[3.26295337, -1.23429987]])
    assert cache[0] is A and cache[1] is W and cache[2] is b
    A, W, b = drawn(2, (3, 2), (1, 3), (1, 1))
    A_sigmoid, (linear_cache, activation_cache) = coursera.linear_activation_forward(A, W, b, activation="sigmoid")
    near(A_sigmoid, [[0.96890023, 0.11013289]])
    assert linear_cache[0] is A
    np.testing.assert_allclose(activation_cache, W @ A + b)
    near(coursera.linear_activation_forward(A, W, b, activation="relu")[0], [[3.43896131, 0.0]])
    X, W1, b1, W2, b2, W3, b3 = drawn(6, (5, 4), (4, 5), (4, 1), (3, 4), (3, 1), (1, 3), (1, 1))
    AL, caches = coursera.L_model_forward(X, {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "W3": W3, "b3": b3})
    near(AL, [[0.03921668, 0.70498921, 0.19734387, 0.04728177]])
    assert len(caches) == 3


def test_cost():
    AL = np.array([[0.8, 0.9, 0.4]])
    cost = coursera.compute_cost(AL, np.array([[1, 1, 1]]))
    assert cost.shape == () and cost == pytest.approx(0.41493159961539694)
    assert coursera.compute_cost(AL, [[1, 1, 0]]) == pytest.approx(0.2797765635793422)
    assert optimization.compute_cost(AL, [[1, 1, 0]]) == pytest.approx(0.2797765635793422)
    assert optimization_v1a.compute_cost(AL, [[1, 1, 0]]) == pytest.approx(3 * 0.2797765635793422)
    assert regularization.compute_cost(AL, [[1, 1, 0]]) == pytest.approx(0.2797765635793422)


def test_answers_of_exactly_0_and_1():
    """Right ones cost nothing and have no gradient (the course's 0 * inf is NaN); wrong ones cost inf: there is no clipping."""
    AL, Y = np.array([[0.0, 1.0, 0.5]]), np.array([[0, 1, 1]])
    assert coursera.compute_cost(AL, Y) == pytest.approx(np.log(2) / 3)
    assert initialization.compute_loss(AL, Y) == pytest.approx(np.log(2) / 3)
    assert coursera.compute_cost(AL, 1 - Y) == np.inf
    assert coursera.compute_cost([[1e-12]], [[1]]) == pytest.approx(12 * np.log(10))
    A, W, b, Z = np.ones((2, 3)), np.ones((1, 2)), np.zeros((1, 1)), np.array([[-800.0, 800.0, 0.0]])
    grads = coursera.L_model_backward(AL, Y, [((A, W, b), Z)])
    np.testing.assert_allclose(grads["dA0"], [[0, 0, -0.5], [0, 0, -0.5]])


def test_backward_is_the_gradient_of_the_cost():
    X, W1, b1, W2, b2, W3, b3 = drawn(9, (5, 4), (4, 5), (4, 1), (3, 4), (3, 1), (2, 3), (2, 1))
    parameters, Y = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "W3": W3, "b3": b3}, np.array([[1, 0, 0, 1], [0, 0, 1, 1]])

    def cost():
        return coursera.compute_cost(coursera.L_model_forward(X, parameters)[0], Y)

    AL, caches = coursera.L_model_forward(X, parameters)
    grads = coursera.L_model_backward(AL, Y, caches)
    analytic, numeric = [], []
    for key, array in parameters.items():
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-6
            above = cost()
            array[place] = kept - 1e-6
            numeric.append((above - cost()) / 2e-6)
            analytic.append(grads[f"d{key}"][place])
            array[place] = kept
    difference = np.subtract(analytic, numeric)
    assert np.linalg.norm(difference) / (np.linalg.norm(analytic) + np.linalg.norm(numeric)) < 1e-7


def test_backward():
    dA, A, W, b, Z = drawn(2, (1, 2), (3, 2), (1, 3), (1, 1), (1, 2))
    dA_prev, dW, db = coursera.linear_activation_backward(dA, ((A, W, b), Z), activation="sigmoid")
    near(dA_prev, [[0.11017994, 0.01105339], [0.09466817, 0.00949723], [-0.05743092, -0.00576154]])
    near(dW, [[0.10266786, 0.09778551, -0.01968084]])
    near(db, [[-0.05729622]])
    dA_prev, dW, db = coursera.linear_activation_backward(dA, ((A, W, b), Z), activation="relu")
    near(dA_prev, [[0.44090989, 0.0], [0.37883606, 0.0], [-0.2298228, 0.0]])
    near(dW, [[0.44513824, 0.37371418, -0.10478989]])
    near(db, [[-0.20837892]])
    AL, A1, W1, b1, Z1, A2, W2, b2, Z2 = drawn(3, (1, 2), (4, 2), (3, 4), (3, 1), (3, 2), (3, 2), (1, 3), (1, 1), (1, 2))
    grads = coursera.L_model_backward(AL, np.array([[1, 0]]), (((A1, W1, b1), Z1), ((A2, W2, b2), Z2)))
    near(
        grads["dW1"],
        [[0.41010002, 0.07807203, 0.13798444, 0.10502167], [0, 0, 0, 0], [0.05283652, 0.01005865, 0.01777766, 0.0135308]],
    )
    near(grads["db1"], [[-0.22007063], [0], [-0.02835349]])
    near(grads["dA1"], [[0.12913162, -0.44014127], [-0.14175655, 0.48317296], [0.01663708, -0.05670698]])
    assert set(grads) == {"dA0", "dW1", "db1", "dA1", "dW2", "db2"}


def test_update():
    parameters = dict(zip(["W1", "b1", "W2", "b2"], drawn(2, (3, 4), (3, 1), (1, 3), (1, 1)), strict=True))
    grads = dict(zip(["dW1", "db1", "dW2", "db2"], drawn(3, (3, 4), (3, 1), (1, 3), (1, 1)), strict=True))
    W1, before = parameters["W1"], parameters["W1"].copy()
    updated = coursera.update_parameters(parameters, grads, 0.1)
    near(updated["W1"][0], [-0.59562069, -0.09991781, -2.14584584, 1.82662008])
    near(updated["b2"], [[-0.84610769]])
    assert updated is parameters
    np.testing.assert_array_equal(W1, before)  # the dictionary has a new array
    with_default = planar.update_parameters(parameters, grads)
    assert with_default is not parameters
    np.testing.assert_allclose(with_default["b2"], parameters["b2"] - 1.2 * grads["db2"])


def test_relu_has_no_gradient_at_zero_and_numbers_stay_numbers():
    np.testing.assert_array_equal(coursera.relu_backward([[1, 2, 3]], [[-1, 0, 1]]), [[0, 0, 3]])
    assert coursera.sigmoid(0) == (0.5, 0) and coursera.relu(-3)[0] == 0
    assert planar.sigmoid(0) == 0.5 and three_layers.relu(2) == 2
    np.testing.assert_allclose(coursera.sigmoid_backward([[2.0]], [[0.0]]), [[0.5]])


# ---- planar data: what the notebook prints


def test_one_hidden_layer():
    W1 = np.array([[-0.00416758, -0.00056267], [-0.02136196, 0.01640271], [-0.01793436, -0.00841747], [0.00502881, -0.01245288]])
    W2 = np.array([[-0.01057952, -0.00909008, 0.00551454, 0.02292208]])
    X, b1 = drawn(1, (2, 3), (4, 1))
    A2, cache = coursera.forward_propagation(X, {"W1": W1, "b1": b1, "W2": W2, "b2": np.array([[-1.3]])})
    means = [cache[key].mean() for key in ("Z1", "A1", "Z2", "A2")]
    near(means, [0.262818640198, 0.091999045227, -1.30766601287, 0.212877681719], digits=7)
    (normal,) = drawn(1, (1, 3))
    cost = planar.compute_cost(np.array([[0.5002307, 0.49985831, 0.50023963]]), normal > 0)
    assert isinstance(cost, float)
    near(cost, 0.693058761039, digits=12)
    parameters = {"W1": W1, "b1": np.zeros((4, 1)), "W2": W2, "b2": np.zeros((1, 1))}
    np.random.seed(1)
    X, Y = np.random.randn(2, 3), np.random.randn(1, 3) > 0
    A2, cache = coursera.forward_propagation(X, parameters)
    grads = coursera.backward_propagation(parameters, cache, X, Y)
    near(grads["dW1"], [[0.00301023, -0.00747267], [0.00257968, -0.00641288], [-0.00156892, 0.003893], [-0.00652037, 0.01618243]])
    near(grads["db1"], [[0.00176201], [0.00150995], [-0.00091736], [-0.00381422]])
    near(grads["dW2"], [[0.00078841, 0.01765429, -0.00084166, -0.01022527]])
    near(grads["db2"], [[-0.16655712]])


def test_planar_data_are_learned_as_printed():
    X, Y = planar.load_planar_dataset()
    assert X.shape == (2, 400) and Y.shape == (1, 400) and planar.layer_sizes(X, Y) == (2, 4, 1)
    parameters, costs = planar.initialize_parameters(2, 4, 1), []
    for _ in range(2001):
        A2, cache = planar.forward_propagation(X, parameters)
        costs.append(planar.compute_cost(A2, Y, parameters))
        parameters = planar.update_parameters(parameters, planar.backward_propagation(parameters, cache, X, Y))
    near([costs[0], costs[1000], costs[2000]], [0.693048, 0.288083, 0.254385], digits=6)
    assert np.mean(planar.predict(parameters, X) == Y) > 0.88


# ---- gradient checking and regularization


def check_n_case():
    parameters = three_layer_parameters(1, (5, 4), (5, 1), (3, 5), (3, 1), (1, 3), (1, 1))
    X, *values = drawn(1, (4, 3), *(value.shape for value in parameters.values()))
    return X, np.array([1, 1, 0]), dict(zip(parameters, values, strict=True))


def test_gradient_check_finds_the_planted_mistakes(capsys):
    X, Y, parameters = check_n_case()
    _, cache = coursera.forward_propagation_n(X, Y, parameters)
    gradients = coursera.backward_propagation_n(X, Y, cache)
    assert coursera.gradient_check_n(parameters, gradients, X, Y) < 2e-7
    assert "works perfectly fine" in capsys.readouterr().out
    gradients["dW2"], gradients["db1"] = gradients["dW2"] * 2, gradients["db1"] * 4  # as in the notebook
    assert coursera.gradient_check_n(parameters, gradients, X, Y) == pytest.approx(0.285093156781, abs=1e-8)
    assert "There is a mistake" in capsys.readouterr().out
    assert coursera.gradient_check_n(parameters, gradients, X, Y, print_msg=False) > 0.1
    assert capsys.readouterr().out == ""


def test_parameters_go_to_a_vector_and_back():
    _, _, parameters = check_n_case()
    theta, keys = coursera.dictionary_to_vector(parameters)
    assert theta.shape == (47, 1) and keys[:20] == ["W1"] * 20 and keys[20] == "b1"
    for key, value in coursera.vector_to_dictionary(theta).items():
        np.testing.assert_array_equal(value, parameters[key])
    gradients = {f"d{key}": value for key, value in parameters.items()}
    np.testing.assert_array_equal(coursera.gradients_to_vector(gradients), theta)
    with pytest.raises(ValueError, match="47 elements"):
        coursera.vector_to_dictionary(theta[:-1])


@pytest.mark.parametrize("module", [initialization, regularization, optimization])
def test_both_spellings_of_the_gradients(module):
    X, _, parameters = check_n_case()
    Y = np.array([[1, 1, 0]])
    A3, cache = module.forward_propagation(X, parameters)
    assert len(cache) == 12 and cache[2] is parameters["W1"] and cache[9] is A3
    grads = module.backward_propagation(X, Y, cache)
    z, a, share = ("Z", "A", 1) if module is regularization else ("z", "a", 1 / 3)
    assert set(grads) == {f"d{name}{i}" for name in (z, "W", "b") for i in (1, 2, 3)} | {f"d{a}1", f"d{a}2"}
    np.testing.assert_allclose(grads[f"d{z}3"], share * (A3 - Y))
    np.testing.assert_allclose(grads[f"d{a}2"], parameters["W3"].T @ grads[f"d{z}3"])
    assert coursera.gradient_check_n(parameters, grads, X, Y) < 2e-7


def test_regularized_cost_and_gradients():
    W1, _, W2, _, W3 = drawn(1, (2, 3), (2, 1), (3, 2), (3, 1), (1, 3))
    a3 = np.array([[0.40682402, 0.01629284, 0.16722898, 0.10118111, 0.40682402]])
    Y = np.array([[1, 1, 0, 1, 0]])
    cost = coursera.compute_cost_with_regularization(a3, Y, {"W1": W1, "W2": W2, "W3": W3}, lambd=0.1)
    near(cost, 1.78648594516, digits=11)
    X, Y, parameters = check_n_case()
    _, cache = three_layers.forward_propagation(X, parameters)
    plain = regularization.backward_propagation(X, Y, cache)
    grads = coursera.backward_propagation_with_regularization(X, Y, cache, lambd=0.7)
    for key, gradient in grads.items():
        extra = 0.7 / 3 * parameters[key[1:]] if key.startswith("dW") else 0
        np.testing.assert_allclose(gradient, plain[key] + extra, rtol=1e-12, atol=1e-15)


def test_dropout():
    X, *values = drawn(1, (3, 5), (2, 3), (2, 1), (3, 2), (3, 1), (1, 3), (1, 1))
    parameters = dict(zip(["W1", "b1", "W2", "b2", "W3", "b3"], values, strict=True))
    A3, cache = coursera.forward_propagation_with_dropout(X, parameters, keep_prob=0.7)
    near(A3, [[0.36974721, 0.00305176, 0.04565099, 0.49683389, 0.36974721]])
    Z1, D1, A1, W1, b1, Z2, D2, A2, W2, b2, Z3, _, W3, b3 = cache
    np.testing.assert_allclose(A1, np.maximum(Z1, 0) * D1 / 0.7)
    assert 0 < D1.sum() < D1.size and W1 is parameters["W1"]
    Y = np.array([[1, 1, 0, 1, 0]])
    grads = coursera.backward_propagation_with_dropout(X, Y, cache, keep_prob=0.7)

    def cost():  # with the masks as they were drawn
        A1 = np.maximum(W1 @ X + b1, 0) * D1 / 0.7
        A2 = np.maximum(W2 @ A1 + b2, 0) * D2 / 0.7
        A3 = 1 / (1 + np.exp(-(W3 @ A2 + b3)))
        return -np.mean(Y * np.log(A3) + (1 - Y) * np.log(1 - A3))

    for key, array in parameters.items():
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-6
            above = cost()
            array[place] = kept - 1e-6
            assert (above - cost()) / 2e-6 == pytest.approx(grads[f"d{key}"][place], rel=1e-6, abs=1e-9)
            array[place] = kept


# ---- optimization: what the notebook prints


def small_case():
    values = optimization.load_params_and_grads(seed=1)
    names = ["W1", "b1", "W2", "b2"]
    return dict(zip(names, values[:4], strict=True)), {f"d{key}": value for key, value in zip(names, values[4:], strict=True)}


def test_gradient_descent_momentum_and_adam():
    parameters, grads = small_case()
    near(
        coursera.update_parameters_with_gd(parameters, grads, 0.01)["W1"],
        [[1.63535156, -0.62320365, -0.53718766], [-1.07799357, 0.85639907, -2.29470142]],
    )
    parameters, grads = small_case()
    v = coursera.initialize_velocity(parameters)
    assert list(v) == ["dW1", "db1", "dW2", "db2"] and not v["dW1"].any()
    parameters, v = coursera.update_parameters_with_momentum(parameters, grads, v, beta=0.9, learning_rate=0.01)
    near(parameters["W1"], [[1.62544598, -0.61290114, -0.52907334], [-1.07347112, 0.86450677, -2.30085497]])
    near(parameters["b2"], [[-0.87809283], [0.04055394], [0.58207317]])
    near(v["dW1"], [[-0.11006192, 0.11447237, 0.09015907], [0.05024943, 0.09008559, -0.06837279]])
    parameters, grads = small_case()
    v, s = coursera.initialize_adam(parameters)
    result = coursera.update_parameters_with_adam(parameters, grads, v, s, t=2)
    assert result[0] is parameters and result[1] is v and result[2] is s and len(result) == 3
    near(parameters["W1"], [[1.63178673, -0.61919778, -0.53561312], [-1.08040999, 0.85796626, -2.29409733]])
    near(parameters["b2"], [[-0.88529979], [0.03477238], [0.57537385]])
    near(s["dW1"], [[0.00121136, 0.00131039, 0.00081287], [0.0002525, 0.00081154, 0.00046748]])
    *_, v_corrected, s_corrected = coursera.update_parameters_with_adam(parameters, grads, v, s, 3, return_corrected=True)
    np.testing.assert_allclose(v_corrected["dW1"], v["dW1"] / (1 - 0.9**3))
    np.testing.assert_allclose(s_corrected["db2"], s["db2"] / (1 - 0.999**3))


def test_adam_adds_epsilon_after_the_correction():
    parameters, grads = {"W1": np.zeros((1, 1)), "b1": np.zeros((1, 1))}, {"dW1": [[1e-8]], "db1": [[0.0]]}
    v, s = coursera.initialize_adam(parameters)
    coursera.update_parameters_with_adam(parameters, grads, v, s, t=1)
    np.testing.assert_allclose(parameters["W1"], [[-0.005]])  # 0.01 * 1e-8 / (1e-8 + 1e-8)
    np.testing.assert_array_equal(parameters["b1"], [[0.0]])


def test_random_mini_batches():
    np.random.seed(1)
    X, Y = np.random.randn(12288, 148), np.random.randn(1, 148) < 0.5
    batches = coursera.random_mini_batches(X, Y, 64)
    assert [x.shape for x, _ in batches] == [(12288, 64), (12288, 64), (12288, 20)]
    assert [y.shape for _, y in batches] == [(1, 64), (1, 64), (1, 20)]
    near(batches[0][0][0][:3], [0.90085595, -0.7612069, 0.2344157])
    np.random.seed(7)
    order = np.random.permutation(148)
    batches = coursera.random_mini_batches(X, Y, 50, seed=7)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches], axis=1), Y[:, order])


# ---- unmodified scripts


def run(tmp_path, text):
    script = tmp_path / "script.py"
    script.write_text(text)
    command = [sys.executable, "-W", "error", "-m", "fastnn.compat.run", "--course", "coursera", str(script)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_script_of_the_application_runs_by_its_own_imports(tmp_path):
    lines = run(
        tmp_path,
        """
import numpy as np
from dnn_app_utils_v2 import *
from dnn_utils_v2 import relu_backward as relu_backward_of_the_other_notebook
np.random.seed(0)
X = np.random.randn(3, 200)
Y = (np.abs(X).sum(axis=0, keepdims=True) > 2.4).astype(int)
parameters = initialize_parameters_deep([3, 20, 7, 5, 1])
for i in range(1500):
    AL, caches = L_model_forward(X, parameters)
    if i % 500 == 0:
        print("Cost after iteration %i: %f" % (i, compute_cost(AL, Y)))
    parameters = update_parameters(parameters, L_model_backward(AL, Y, caches), learning_rate=0.3)
p = predict(X, Y, parameters)
print(p.shape, p.dtype)
""",
    )
    costs = [float(line.split()[-1]) for line in lines[:3]]
    assert costs[0] == pytest.approx(0.7, abs=0.1) and costs[2] < 0.4
    assert float(lines[3].removeprefix("Accuracy: ")) > 0.95 and lines[4] == "(1, 200) float64"


def test_a_script_of_course_2_runs_by_its_own_imports(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    lines = run(
        tmp_path,
        """
import matplotlib
matplotlib.use("agg")
import numpy as np
from init_utils import sigmoid, relu, compute_loss, forward_propagation, backward_propagation
from init_utils import update_parameters, predict, load_dataset, plot_decision_boundary, predict_dec
from reg_utils import load_2D_dataset
from gc_utils import dictionary_to_vector
from planar_utils import load_extra_datasets
import opt_utils, opt_utils_v1a
train_X, train_Y, test_X, test_Y = load_dataset()
np.random.seed(3)
dims = [2, 10, 5, 1]
parameters = {}
for l in range(1, 4):
    parameters["W" + str(l)] = np.random.randn(dims[l], dims[l - 1]) * np.sqrt(2 / dims[l - 1])
    parameters["b" + str(l)] = np.zeros((dims[l], 1))
for i in range(1000):
    a3, cache = forward_propagation(train_X, parameters)
    parameters = update_parameters(parameters, backward_propagation(train_X, train_Y, cache), 0.1)
print(compute_loss(a3, train_Y))
predictions_train = predict(train_X, train_Y, parameters)
answers = []
plot_decision_boundary(lambda x: answers.append(predict_dec(parameters, x.T)) or answers[-1], test_X, test_Y)
print(predictions_train.shape, predictions_train.dtype, answers[0].dtype, len(load_extra_datasets()))
train_X, train_Y = opt_utils.load_dataset()
print(train_X.shape, train_Y.shape, opt_utils_v1a.compute_cost is opt_utils.compute_cost)
""",
    )
    assert float(lines[0]) < 0.3
    assert float(lines[1].removeprefix("Accuracy: ")) > 0.95
    assert lines[2] == "(1, 300) int64 bool 5"
    assert lines[3] == "(2, 300) (1, 300) False"


def test_mislabeled_images_are_drawn():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    kept = pyplot.rcParams["figure.figsize"]
    pyplot.switch_backend("agg")
    X, y, p = np.zeros((64 * 64 * 3, 3)), np.array([[0, 1, 1]]), np.array([[0.0, 0.0, 1.0]])
    dnn_app.print_mislabeled_images(np.array([b"non-cat", b"cat"]), X, y, p)
    assert [axes.get_title() for axes in pyplot.gcf().axes] == ["Prediction: non-cat \n Class: cat"]
    pyplot.close("all")
    pyplot.rcParams["figure.figsize"] = kept


# ---- what does not fit


def test_shapes_that_do_not_fit_are_explained():
    A, W, b = np.zeros((3, 2)), np.zeros((4, 5)), np.zeros((4, 1))
    with pytest.raises(ValueError, match=r"Z = W A \+ b needs W of shape \(n_l, n_prev\).*got W \(4, 5\) and A \(3, 2\)"):
        coursera.linear_forward(A, W, b)
    with pytest.raises(
        ValueError, match=r"b must have shape \(4, 1\), one number for each row of W, which is \(4, 3\); got \(4,\)"
    ):
        coursera.linear_forward(A, W[:, :3], np.zeros(4))
    with pytest.raises(ValueError, match=r"Z2 = W2 A1 \+ b2 needs W2"):
        coursera.forward_propagation(A, {"W1": W[:, :3], "b1": b, "W2": W, "b2": b})
    with pytest.raises(ValueError, match=r"dW = dZ A_prev\^T / m.*got dZ \(4, 3\), A_prev \(3, 2\) and W \(4, 3\)"):
        coursera.linear_backward(np.zeros((4, 3)), (A, W[:, :3], b))
    with pytest.raises(ValueError, match=r"Y must have shape \(1, 4\).*got \(4, 1\)"):
        coursera.compute_cost(np.full((1, 4), 0.5), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="W2 is missing among W1, b1, W3, b3"):
        coursera.L_model_forward(A, {"W1": W, "b1": b, "W3": W, "b3": b})
    with pytest.raises(ValueError, match="activation must be one of 'sigmoid', 'relu'; got 'softmax'"):
        coursera.linear_activation_forward(A, W[:, :3], b, "softmax")
    with pytest.raises(ValueError, match=r"dA must have the shape of Z, \(1, 2\)"):
        coursera.relu_backward([[1.0, 2.0, 3.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"grads\['dW1'\] must have the shape of parameters\['W1'\], \(4, 3\); got \(3, 4\)"):
        coursera.update_parameters({"W1": W[:, :3], "b1": b}, {"dW1": W[:3, :4], "db1": b}, 0.1)
    with pytest.raises(ValueError, match="grads must have db1"):
        coursera.update_parameters({"W1": W, "b1": b}, {"dW1": W}, 0.1)
    with pytest.raises(ValueError, match=r"keep_prob must be in \(0, 1\]"):
        coursera.forward_propagation_with_dropout(A, {}, keep_prob=0)
    with pytest.raises(ValueError, match=r"\(n_x, m\) and \(n_y, m\), a column for each sample"):
        coursera.random_mini_batches(np.zeros((5, 2)), np.zeros((1, 5)))
    with pytest.raises(TypeError, match="W must be an array of real numbers"):
        coursera.linear_forward(A, "W", b)


def test_arguments_of_the_wrong_kind_are_explained():
    A, W, b = np.zeros((3, 2)), np.zeros((1, 3)), np.zeros((1, 1))
    parameters, grads = {"W1": W, "b1": b}, {"dW1": W, "db1": b}
    AL, caches = coursera.L_model_forward(A, parameters)
    with pytest.raises(TypeError, match="parameters must be a dict with W1, b1, ..., WL, bL; got list"):
        coursera.L_model_forward(A, [W, b])
    with pytest.raises(ValueError, match="W3, b3; W2 is missing among W1, b1"):
        initialization.forward_propagation(A, parameters)
    with pytest.raises(ValueError, match=r"at least one sample; got W1? \(1, 3\) and A0? \(3, 0\)"):
        coursera.L_model_forward(A[:, :0], parameters)
    with pytest.raises(ValueError, match="Y must be an array of real numbers; got list"):
        coursera.L_model_backward(AL, caches, np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"\(A_prev, W, b\), the second result of linear_forward; got 2 entries"):
        coursera.linear_backward(AL, (A, W))
    with pytest.raises(ValueError, match=r"v must have dW1, as initialize_velocity .*; got \[\]"):
        coursera.update_parameters_with_momentum(parameters, grads, {}, 0.9, 0.1)
    with pytest.raises(ValueError, match="the second result of conv_forward; got ndarray"):
        coursera.conv_backward(A, A)


def test_accuracies_are_printed_as_the_notebooks_sum_them(capsys):
    X = np.ones((2, 209))
    dnn_app.predict(X, np.ones((1, 209)), {"W1": np.ones((1, 2)), "b1": np.ones((1, 1))})
    assert capsys.readouterr().out == "Accuracy: 0.9999999999999998\n"


def test_translated_notebooks_say_whether_to_draw(monkeypatch):
    drawn = []
    monkeypatch.setattr("fastnn.compat.coursera.data.scatter", lambda *arrays: drawn.append(arrays))
    for module in initialization, optimization:
        with_picture, without = module.load_dataset(), module.load_dataset(is_plot=False)
        assert len(drawn) == 1
        np.testing.assert_array_equal(drawn.pop()[0], without[0])
        np.testing.assert_array_equal(with_picture[0], without[0])


def test_images_that_do_not_fit_are_explained():
    A_prev, W, b = np.zeros((2, 5, 5, 3)), np.zeros((3, 3, 3, 8)), np.zeros((1, 1, 1, 8))
    ok = {"stride": 1, "pad": 0}
    with pytest.raises(
        ValueError, match=r"A_prev must have shape \(m, n_H, n_W, n_C\).*got \(5, 5, 3\); one image is A_prev\[np.newaxis\]"
    ):
        coursera.conv_forward(A_prev[0], W, b, ok)
    with pytest.raises(ValueError, match=r"n_C_prev = 3 the channels of A_prev; got \(8, 3, 5, 5\)"):
        coursera.conv_forward(A_prev, np.zeros((8, 3, 5, 5)), b, ok)
    with pytest.raises(ValueError, match=r"b must have shape \(1, 1, 1, n_C\) = \(1, 1, 1, 8\)"):
        coursera.conv_forward(A_prev, W, np.zeros((8, 1)), ok)
    with pytest.raises(ValueError, match="hparameters must be a dict with 'stride' and 'pad'"):
        coursera.conv_forward(A_prev, W, b, {"stride": 1})
    with pytest.raises(TypeError, match=r"hparameters\['stride'\] must be an integer; got 1.5"):
        coursera.conv_forward(A_prev, W, b, {"stride": 1.5, "pad": 0})
    with pytest.raises(ValueError, match=r"n_H = int\(\(n_H_prev - f \+ 2 \* pad\) / stride\) \+ 1 must be at least 1.*pad 0"):
        coursera.conv_forward(A_prev, np.zeros((7, 7, 3, 8)), b, ok)
    _, cache = coursera.conv_forward(A_prev, W, b, ok)
    with pytest.raises(ValueError, match=r"dZ must have shape \(2, 3, 3, 8\), as Z has it; got \(2, 5, 5, 8\)"):
        coursera.conv_backward(np.zeros((2, 5, 5, 8)), cache)
    with pytest.raises(ValueError, match=r"n_H = int\(\(n_H_prev - f\) / stride\) \+ 1 must be at least 1.*f 6"):
        coursera.pool_forward(A_prev, {"f": 6, "stride": 1})
    _, cache = coursera.pool_forward(A_prev, {"f": 2, "stride": 2})
    with pytest.raises(ValueError, match=r"dA must have shape \(2, 2, 2, 3\), as A has it"):
        coursera.pool_backward(np.zeros((2, 3, 3, 3)), cache)
    with pytest.raises(ValueError, match="mode must be 'max' or 'average'; got 'mean'"):
        coursera.pool_forward(A_prev, {"f": 2, "stride": 2}, "mean")
    with pytest.raises(ValueError, match=r"the same shape \(f, f, n_C_prev\); got \(3, 3, 3\) and \(3, 3\)"):
        coursera.conv_single_step(np.zeros((3, 3, 3)), np.zeros((3, 3)), 0.0)
    with pytest.raises(ValueError, match="bias_mode must be 'v2' or 'v1'"):
        coursera.conv_single_step(np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), 0.0, bias_mode="v3")
