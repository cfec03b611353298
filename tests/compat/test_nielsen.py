"""fastnn.compat.nielsen: against the algorithm sample by sample, and MNIST by a script as the book writes it."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest

from fastnn.compat.nielsen import mnist_loader, network, network2
from fastnn.kernels.table import record


def logistic(z):
    return 1 / (1 + np.exp(-z))


class PerSample:
    """Chapters 1 to 3, one sample at a time: costs by their errors in the last layer, and L2 regularization."""

    def __init__(self, net, error):
        self.weights, self.biases, self.error = list(net.weights), list(net.biases), error

    def gradients(self, x, y):
        activations = [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            activations.append(logistic(np.dot(w, activations[-1]) + b))
        delta = self.error(activations[-1], y)
        nabla_b, nabla_w = [], []
        for layer in reversed(range(len(self.weights))):
            nabla_b.insert(0, delta)
            nabla_w.insert(0, np.dot(delta, activations[layer].T))
            a = activations[layer]
            delta = np.dot(self.weights[layer].T, delta) * a * (1 - a)
        return nabla_b, nabla_w

    def train(self, data, epochs, size, eta, lmbda=0.0):
        data = list(data)
        for _ in range(epochs):
            random.shuffle(data)
            for start in range(0, len(data), size):
                batch = data[start : start + size]
                sums = [self.gradients(x, y) for x, y in batch]
                rate, keep = eta / len(batch), 1 - eta * lmbda / len(data)
                self.weights = [keep * w - rate * sum(s[1][i] for s in sums) for i, w in enumerate(self.weights)]
                self.biases = [b - rate * sum(s[0][i] for s in sums) for i, b in enumerate(self.biases)]


def quadratic(a, y):
    return (a - y) * a * (1 - a)


def cross_entropy(a, y):
    return a - y


def samples(count=23, n_in=5, n_out=3, seed=0):
    rng = np.random.default_rng(seed)
    digits = rng.integers(n_out, size=count)
    return [(rng.random((n_in, 1)), np.eye(n_out)[:, [digit]]) for digit in digits]


def close(net, expected):
    for given, wanted in zip(net.weights + net.biases, expected.weights + expected.biases, strict=True):
        assert given.shape == wanted.shape and given.dtype == np.float64
        np.testing.assert_allclose(given, wanted, rtol=1e-11, atol=1e-13)


# ---- start values, training


def test_start_values_are_drawn_as_in_the_book():
    np.random.seed(1)
    net = network.Network([4, 3, 2])
    np.random.seed(1)
    for array in net.biases + net.weights:  # biases first
        np.testing.assert_array_equal(array, np.random.randn(*array.shape))
    assert [b.shape for b in net.biases] == [(3, 1), (2, 1)] and [w.shape for w in net.weights] == [(3, 4), (2, 3)]
    assert net.num_layers == 3 and net.sizes == [4, 3, 2]
    np.random.seed(1)
    second = network2.Network([4, 3, 2])
    np.testing.assert_array_equal(second.biases[1], net.biases[1])
    np.testing.assert_allclose(second.weights[0], net.weights[0] / 2)
    np.random.seed(1)
    second.large_weight_initializer()
    np.testing.assert_array_equal(second.weights[0], net.weights[0])


@pytest.mark.parametrize("sizes", [[5, 3], [5, 4, 3], [5, 4, 6, 3]])
def test_network_trains_as_the_algorithm_sample_by_sample(sizes, capsys):
    net, data = network.Network(sizes), samples()
    expected, before = PerSample(net, quadratic), list(data)
    random.seed(2)
    net.SGD(data, epochs=3, mini_batch_size=5, eta=3.0)
    random.seed(2)
    expected.train(data, 3, 5, 3.0)
    close(net, expected)
    assert data == before  # shuffled is a copy
    assert capsys.readouterr().out.splitlines() == ["Epoch 0 complete", "Epoch 1 complete", "Epoch 2 complete"]


@pytest.mark.parametrize("cost, error", [(network2.QuadraticCost, quadratic), (network2.CrossEntropyCost, cross_entropy)])
def test_network2_trains_as_the_algorithm_sample_by_sample(cost, error):
    net, data = network2.Network([5, 4, 3], cost=cost), samples()
    expected = PerSample(net, error)
    random.seed(3)
    net.SGD(zip(*zip(*data, strict=True), strict=True), 3, 5, 0.5, lmbda=2.0)  # an iterator will do
    random.seed(3)
    expected.train(data, 3, 5, 0.5, lmbda=2.0)
    close(net, expected)


def test_a_cost_of_ones_own_is_asked_sample_by_sample():
    class Shouting(network2.QuadraticCost):
        @staticmethod
        def fn(a, y):
            assert a.shape == y.shape == (3, 1)
            return float(np.max(np.abs(a - y)))

        @staticmethod
        def delta(z, a, y):
            assert z.shape == a.shape == y.shape == (3, 1)
            return (a - y) * np.max(np.abs(a - y))  # not an elementwise formula

    net, data = network2.Network([5, 4, 3], cost=Shouting), samples()
    expected = PerSample(net, lambda a, y: Shouting.delta(a, a, y))
    random.seed(4)
    net.SGD(data, 2, 6, 0.5)
    random.seed(4)
    expected.train(data, 2, 6, 0.5)
    close(net, expected)
    by_hand = np.mean([Shouting.fn(net.feedforward(x), y) for x, y in data])
    assert net.total_cost(data, 0.0) == pytest.approx(by_hand)


def test_methods_of_ones_own_are_used():
    class Slow(network.Network):
        updates = 0

        def update_mini_batch(self, mini_batch, eta):
            Slow.updates += len(mini_batch)
            super().update_mini_batch(mini_batch, eta)

        def cost_derivative(self, output_activations, y):
            return 0 * y

    net = Slow([5, 3])
    weights = net.weights[0].copy()
    net.SGD(samples(), 1, 5, 1.0)
    assert Slow.updates == 23
    np.testing.assert_array_equal(net.weights[0], weights)


def test_updates_leave_old_arrays_alone():
    net = network.Network([5, 3])
    old, copy = net.weights[0], net.weights[0].copy()
    net.update_mini_batch(samples(4), 1.0)
    assert net.weights[0] is not old
    np.testing.assert_array_equal(old, copy)
    old, copy = net.weights[0], net.weights[0].copy()
    net.SGD(samples(), 2, 5, 1.0)
    assert np.abs(net.weights[0] - copy).max() > 1e-3
    np.testing.assert_array_equal(old, copy)


def test_an_interrupted_epoch_leaves_the_steps_that_were_taken(monkeypatch):
    monkeypatch.setattr(random, "shuffle", lambda data: None)
    net, data = network.Network([5, 4, 3]), samples(10)
    expected = PerSample(net, quadratic)
    with pytest.raises(ValueError, match="x must have shape"):
        net.SGD([*data, (np.zeros(5), data[0][1])], 1, 5, 1.0)
    expected.train(data, 1, 5, 1.0)
    close(net, expected)


@pytest.mark.parametrize("make, more", [(network.Network, ()), (network2.Network, (0.1, 30))])
def test_a_mini_batch_takes_as_many_kernel_calls_as_a_sample(make, more):
    calls = []
    for count in 1, 30:
        net = make([5, 4, 3])
        with record() as recording:
            net.update_mini_batch(samples(count), 1.0, *more)
        calls.append([name for name, _ in recording.calls])
    assert calls[0] == calls[1]
    assert "dense_backward_weight" in calls[0]


# ---- backprop, feedforward, costs


@pytest.mark.parametrize("make", [network.Network, network2.Network])
def test_backprop_is_the_gradient_of_the_cost(make):
    net, (x, y) = make([5, 4, 3]), samples(1)[0]

    def cost():
        a = net.feedforward(x)
        if make is network.Network:
            return 0.5 * ((a - y) ** 2).sum()
        return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum()

    nabla_b, nabla_w = net.backprop(x, y)
    for arrays, nablas in (net.biases, nabla_b), (net.weights, nabla_w):
        for array, nabla in zip(arrays, nablas, strict=True):
            assert nabla.shape == array.shape
            for place in np.ndindex(array.shape):
                kept = array[place]
                array[place] = kept + 1e-6
                above = cost()
                array[place] = kept - 1e-6
                assert (above - cost()) / 2e-6 == pytest.approx(nabla[place], rel=1e-6, abs=1e-9)
                array[place] = kept


def test_feedforward_takes_one_input_or_many_and_lists():
    net = network.Network([2, 3, 1])
    x = np.random.default_rng(5).random((2, 4)).astype(np.float32)
    many = net.feedforward(x)
    assert many.shape == (1, 4) and many.dtype == np.float64
    for i in range(4):
        np.testing.assert_allclose(net.feedforward(x[:, [i]]), many[:, [i]], rtol=1e-14)
    np.testing.assert_allclose(net.feedforward([[0], [1]]), net.feedforward(np.array([[0.0], [1.0]])))


def test_xor_with_numbers_as_targets():
    np.random.seed(0)
    random.seed(0)
    net = network.Network([2, 4, 1])
    data = [(np.array([[a], [b]]), a ^ b) for a in (0, 1) for b in (0, 1)]
    net.SGD(data, 2000, 4, 5.0)
    assert [round(net.feedforward(x).item()) for x, _ in data] == [0, 1, 1, 0]


def test_costs_of_one_sample():
    a, y = np.array([[0.2], [0.9]]), np.array([[0.0], [1.0]])
    assert network2.QuadraticCost.fn(a, y) == pytest.approx(0.5 * (0.04 + 0.01))
    assert network2.CrossEntropyCost.fn(a, y) == pytest.approx(-np.log(0.8) - np.log(0.9))
    assert network2.CrossEntropyCost.fn(y, y) == 0.0  # 0 * log(0)
    assert network2.CrossEntropyCost.fn(np.array([[1e-12]]), np.array([[1.0]])) == pytest.approx(12 * np.log(10))  # no clipping
    z = np.log(a / (1 - a))
    np.testing.assert_allclose(network2.QuadraticCost.delta(z, a, y), (a - y) * a * (1 - a))
    np.testing.assert_allclose(network2.CrossEntropyCost.delta(z, a, y), a - y)
    np.testing.assert_allclose(network.sigmoid(z), a)
    np.testing.assert_allclose(network.sigmoid_prime(z), a * (1 - a))
    assert network.sigmoid(0) == 0.5


def test_total_cost_and_accuracy():
    net, rng = network2.Network([5, 10]), np.random.default_rng(6)
    data = [(rng.random((5, 1)), digit) for digit in rng.integers(10, size=1234)]  # more than one chunk
    columns = [(x, network2.vectorized_result(y)) for x, y in data]
    mean = np.mean([network2.CrossEntropyCost.fn(net.feedforward(x), y) for x, y in columns])
    by_hand = mean + 0.5 * 3.0 / 1234 * (net.weights[0] ** 2).sum()
    assert net.total_cost(columns, 3.0) == pytest.approx(by_hand)
    assert net.total_cost(data, 3.0, convert=True) == pytest.approx(by_hand)
    right = sum(int(np.argmax(net.feedforward(x)) == y) for x, y in data)
    assert net.accuracy(data) == net.accuracy(columns, convert=True) == right


# ---- network2: monitoring, early stopping, files


def monitored(net, epochs, **options):
    data = samples(40, n_out=10)
    evaluation = [(x, int(y.argmax())) for x, y in data[:10]]
    return net.SGD(data, epochs, 10, 0.5, lmbda=0.1, evaluation_data=evaluation, **options)


def test_monitored_values_are_returned_and_printed(capsys):
    net = network2.Network([5, 10])
    everything = dict.fromkeys(
        ["monitor_evaluation_cost", "monitor_evaluation_accuracy", "monitor_training_cost", "monitor_training_accuracy"], True
    )
    evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = monitored(net, 2, **everything)
    lines = capsys.readouterr().out.splitlines()
    assert lines[5:] == [
        "Epoch 1 training complete",
        f"Cost on training data: {training_cost[1]}",
        f"Accuracy on training data: {training_accuracy[1]} / 40",
        f"Cost on evaluation data: {evaluation_cost[1]}",
        f"Accuracy on evaluation data: {evaluation_accuracy[1]} / 10",
    ]
    data = samples(40, n_out=10)
    assert training_cost[1] == pytest.approx(net.total_cost(data, 0.1))  # of the data in another order
    assert evaluation_cost[1] == pytest.approx(net.total_cost(data[:10], 0.1))
    assert training_accuracy[1] == net.accuracy(data, convert=True)
    assert [len(values) for values in monitored(net, 2)] == [0, 0, 0, 0]


def test_early_stopping(monkeypatch):
    net = network2.Network([5, 10])
    accuracies = iter([3, 5, 5, 4, 6, 6, 6, 6, 9])
    monkeypatch.setattr(net, "accuracy", lambda *args, **options: next(accuracies))
    _, values, _, _ = monitored(net, 9, monitor_evaluation_accuracy=True, early_stopping_n=3)
    assert values == [3, 5, 5, 4, 6, 6, 6, 6]


def test_networks_are_saved_and_loaded(tmp_path):
    net = network2.Network((5, 4, 3), cost=network2.QuadraticCost)
    net.SGD(samples(), 1, 5, 0.5)
    net.save(tmp_path / "net")
    data = json.loads((tmp_path / "net").read_text())
    assert set(data) == {"sizes", "weights", "biases", "cost"} and data["cost"] == "QuadraticCost" and data["sizes"] == [5, 4, 3]
    loaded = network2.load(tmp_path / "net")
    assert loaded.cost is network2.QuadraticCost
    for given, wanted in zip(loaded.weights + loaded.biases, net.weights + net.biases, strict=True):
        np.testing.assert_array_equal(given, wanted)
    random.seed(7)
    net.SGD(samples(), 1, 5, 0.5)
    random.seed(7)
    loaded.SGD(samples(), 1, 5, 0.5)
    np.testing.assert_allclose(loaded.weights[0], net.weights[0], rtol=1e-13)
    data["cost"] = "Mine"
    (tmp_path / "net").write_text(json.dumps(data))
    with pytest.raises(ValueError, match="one of QuadraticCost, CrossEntropyCost; got 'Mine'"):
        network2.load(tmp_path / "net")


# ---- MNIST


@pytest.fixture(scope="module")
def mnist():
    return mnist_loader.load_data_wrapper()


def test_mnist_is_as_the_book_loads_it(mnist):
    training, validation, test = mnist
    assert [len(part) for part in mnist] == [50000, 10000, 10000]
    x, y = training[0]
    assert x.shape == (784, 1) and x.dtype == np.float32 and y.shape == (10, 1)
    assert x.max() == 0.99609375 and y.argmax() == 5  # 255 / 256
    assert [digit for _, digit in test[:5]] == [7, 2, 1, 0, 4]
    assert isinstance(validation[0][1], np.integer)


def test_mnist_is_learned(mnist, capsys):
    training, _, test = mnist
    np.random.seed(8)
    random.seed(8)
    net = network2.Network([784, 30, 10])
    net.SGD(training[:25000], 2, 10, 0.5, evaluation_data=test[:2000], monitor_evaluation_accuracy=True)
    assert int(capsys.readouterr().out.split()[-3]) > 1800


SCRIPT = """
import mnist_loader
training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
training_data = list(training_data)
import network
net = network.Network([784, 30, 10])
net.SGD(training_data[:100], 1, 10, 3.0, test_data=test_data)
import network2
net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
net.SGD(training_data[:100], 1, 10, 0.1, lmbda=5.0, evaluation_data=validation_data, monitor_evaluation_accuracy=True)
"""


def test_a_script_of_the_book_runs_by_its_own_imports(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "fastnn.compat.run", "--course", "nielsen", str(script)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].startswith("Epoch 0 : ") and lines[0].endswith(" / 10000")
    assert lines[1] == "Epoch 0 training complete" and lines[2].startswith("Accuracy on evaluation data: ")


# ---- what does not fit


def test_shapes_that_do_not_fit_are_explained():
    net = network.Network([784, 30, 10])
    with pytest.raises(ValueError, match=r"a must have shape \(784, 1\); got \(784,\): .*a.reshape\(784, 1\)"):
        net.feedforward(np.zeros(784))
    with pytest.raises(ValueError, match=r"x must have shape \(784, 1\); got \(28, 28\)"):
        net.SGD([(np.zeros((28, 28)), np.zeros((10, 1)))], 1, 1, 1.0)
    with pytest.raises(ValueError, match=r"y must have shape \(10, 1\); got \(\): .*vectorized_result"):
        net.SGD([(np.zeros((784, 1)), 3)], 1, 1, 1.0)
    with pytest.raises(ValueError, match=r"y must have shape \(10, 1\); got \(10,\)"):
        net.backprop(np.zeros((784, 1)), np.zeros(10))
    with pytest.raises(ValueError, match=r"at least one layer of neurons, for example \[784, 30, 10\]; got \[784\]"):
        network.Network([784])
    with pytest.raises(TypeError, match="each of sizes must be an integer; got 2.5"):
        network.Network([784, 2.5])
    with pytest.raises(ValueError, match="mini_batch_size must be an integer of at least 1"):
        net.SGD([], 1, 0, 1.0)
    with pytest.raises(ValueError, match="at least one pair"):
        net.update_mini_batch([], 1.0)
    second = network2.Network([2, 2])
    with pytest.raises(ValueError, match="evaluation_data must be given"):
        second.SGD([], 1, 1, 1.0, monitor_evaluation_cost=True)
    with pytest.raises(ValueError, match="monitor_evaluation_accuracy=True"):
        second.SGD([], 1, 1, 1.0, early_stopping_n=2)


@pytest.mark.parametrize("module", [network, network2])
def test_a_zip_that_is_used_up_is_no_training(module):
    net, pairs = module.Network([5, 4, 3]), zip(*zip(*samples(10), strict=True), strict=True)
    net.SGD(pairs, 1, 5, 0.1)
    with pytest.raises(ValueError, match="training_data has no pairs.*list"):
        net.SGD(pairs, 1, 5, 0.1)


@pytest.mark.parametrize("cost", [network2.QuadraticCost, network2.CrossEntropyCost])
def test_a_cost_may_be_given_as_an_object(cost, tmp_path, monkeypatch):
    networks = []
    for given in cost, cost():
        np.random.seed(0)
        random.seed(0)
        net = network2.Network([5, 4, 3], cost=given)
        # the steps are replayed, not computed sample by sample
        monkeypatch.setattr(network2.Network, "_gradients", None)
        net.SGD(samples(20), 2, 4, 0.5, lmbda=0.1)
        networks.append(net)
    for one, other in zip(networks[0].weights, networks[1].weights, strict=True):
        np.testing.assert_array_equal(one, other)
    net.save(tmp_path / "net.json")
    assert network2.load(tmp_path / "net.json").cost is cost


def test_what_is_evaluated_has_digits_and_costs_are_classes():
    net, pairs = network.Network([5, 4, 3]), samples(4)
    with pytest.raises(ValueError, match=r"y must be a digit.*got shape \(3, 1\).*np.argmax"):
        net.SGD(pairs, 1, 2, 0.1, test_data=pairs)
    with pytest.raises(TypeError, match=r"fn\(a, y\) and delta\(z, a, y\); got 'cross_entropy'"):
        network2.Network([5, 3], cost="cross_entropy")
