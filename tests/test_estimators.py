"""The scikit-learn estimators: scikit-learn's own checks, and its MLP as the reference, weight by weight."""

import copy
import inspect
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network as reference
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn import callbacks, estimators, layers, ops
from fastnn.estimators import MLPClassifier, MLPRegressor
from fastnn.program import Replay

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
IRIS = load_iris(return_X_y=True)
ATTRIBUTES = (
    *("coefs_", "intercepts_", "loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "n_iter_"),
    *("t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"),
)


@pytest.mark.filterwarnings("ignore")  # the checks' data are too small for much that is warned of
@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults_are_scikit_learns(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (estimators, reference))
    assert list(ours)[: len(theirs)] == list(theirs)
    for parameter in theirs.values():
        assert ours[parameter.name].default == parameter.default, parameter.name
        assert ours[parameter.name].kind == parameter.kind, parameter.name


def fitted_pair(name, X, y, **arguments):
    sample_weight = arguments.pop("sample_weight", None)
    pair = [getattr(module, name)(random_state=3, **arguments) for module in (estimators, reference)]
    return [estimator.fit(X, y, sample_weight=sample_weight) for estimator in pair]


def assert_alike(ours, theirs, rtol=1e-9):
    """Assert that all public attributes are those of scikit-learn's estimator."""
    for attribute in ATTRIBUTES:
        mine, expected = getattr(ours, attribute, "missing"), getattr(theirs, attribute, "missing")
        if isinstance(expected, (str, type(None))):
            assert mine == expected, attribute
        elif attribute in ("coefs_", "intercepts_"):
            assert len(mine) == len(expected)
            for a, b in zip(mine, expected, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=attribute)
        else:
            np.testing.assert_allclose(mine, expected, rtol=rtol, atol=1e-12, err_msg=attribute)


WEIGHTS = np.random.default_rng(5).uniform(0.1, 3, 150)


@unconverged
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"hidden_layer_sizes": (), "alpha": 0.3},
        {"hidden_layer_sizes": 7, "activation": "identity", "shuffle": False},
        {"hidden_layer_sizes": (9, 5), "activation": "logistic", "batch_size": 32, "alpha": 0.1, "epsilon": 1e-3},
        {"activation": "tanh", "solver": "lbfgs", "alpha": 0.1},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "batch_size": 40, "power_t": 0.2},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2, "batch_size": 40, "momentum": 0},
        {"solver": "sgd", "nesterovs_momentum": False, "batch_size": 40, "momentum": 0.5, "tol": 0.0},
        {"early_stopping": True, "batch_size": 20, "n_iter_no_change": 3},
        {"sample_weight": WEIGHTS, "alpha": 0.5, "batch_size": 32},
        {"sample_weight": WEIGHTS, "alpha": 0.5, "solver": "lbfgs"},
        {"sample_weight": WEIGHTS, "early_stopping": True},
    ],
    ids=lambda arguments: "-".join(arguments) or "defaults",
)
def test_classifier_trains_to_scikit_learns_weights(arguments):
    X, y = IRIS
    ours, theirs = fitted_pair("MLPClassifier", X, y, max_iter=25, **arguments)
    assert_alike(ours, theirs)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@unconverged
def test_binary_labels_of_any_type():
    names, X, y = np.array(["setosa", "versicolor"]), IRIS[0][:100], IRIS[1][:100]
    ours, theirs = fitted_pair("MLPClassifier", X, y, max_iter=15, early_stopping=True)
    ours.fit(X, names[y])  # scikit-learn 1.7 cannot: its score looks for NaN among names
    assert_alike(ours, theirs)
    np.testing.assert_array_equal(ours.predict(X), names[theirs.predict(X)])
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)


@unconverged
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_regressor_trains_to_scikit_learns_weights(loss, outputs, solver):
    X, y = IRIS[0][:, :2], IRIS[0][:, 2 : 2 + outputs].squeeze()
    # of several outputs' squares scikit-learn's lbfgs gets a gradient that is not the value's: its line search goes by rounding
    iterations = 3 if solver == "lbfgs" else 20
    ours, theirs = fitted_pair(
        "MLPRegressor", X, y, loss=loss, solver=solver, max_iter=iterations, sample_weight=WEIGHTS, alpha=0.1
    )
    assert_alike(ours, theirs, rtol=1e-7)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)


@unconverged
@pytest.mark.parametrize("early_stopping", [False, True])
def test_several_labels_of_a_sample(early_stopping):
    X, y = make_multilabel_classification(n_samples=90, random_state=0)
    ours, theirs = fitted_pair("MLPClassifier", X, y, max_iter=15, batch_size=32, early_stopping=early_stopping)
    assert_alike(ours, theirs)
    assert ours.predict(X).shape == y.shape
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_several_labels_in_partial_fit():
    X, y = make_multilabel_classification(n_samples=90, random_state=0)
    ours, theirs = (module.MLPClassifier(random_state=3) for module in (estimators, reference))
    for part in (slice(50), slice(50, 90), slice(50)):
        ours.partial_fit(X[part], y[part], classes=range(5))
        theirs.partial_fit(X[part], y[part], classes=np.arange(5))
    assert_alike(ours, theirs)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_goes_on_with_the_optimizers_state(solver):
    X, y = IRIS
    ours, theirs = (module.MLPClassifier(random_state=3, solver=solver) for module in (estimators, reference))
    for start in range(0, 100, 20):  # the first parts lack classes
        part = slice(start, start + 40)
        ours.partial_fit(X[part], y[part], classes=[0, 1, 2])
        theirs.partial_fit(X[part], y[part], classes=[0, 1, 2])
        ours = pickle.loads(pickle.dumps(ours))
    assert_alike(ours, theirs)
    with pytest.raises(ValueError, match="classes not in"):
        ours.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="not the same as on last call"):
        ours.partial_fit(X, y, classes=[0, 1])


def test_partial_fit_of_numbers():
    X, y = IRIS[0][:, :3], IRIS[0][:, 3]
    ours, theirs = (module.MLPRegressor(random_state=3, solver="sgd") for module in (estimators, reference))
    for start in (0, 50, 100):
        part = slice(start, start + 50)
        ours.partial_fit(X[part], y[part], sample_weight=WEIGHTS[part])
        theirs.partial_fit(X[part], y[part], sample_weight=WEIGHTS[part])
    assert_alike(ours, theirs)


def test_partial_fit_replays_the_step_that_the_first_call_recorded(monkeypatch):
    X, y = IRIS
    ours, theirs = (module.MLPClassifier(random_state=3, alpha=0.01) for module in (estimators, reference))
    recorded = []
    monkeypatch.setattr(Replay, "_record", lambda replay, record=Replay._record: recorded.append(replay) or record(replay))
    for call, part in enumerate((slice(0, 150, 3), slice(1, 150, 3), slice(0, 50), slice(50, 100))):
        if call == 2:
            for network in (ours, theirs):
                network.set_params(alpha=10.0)  # counts from the next call
        ours.partial_fit(X[part], y[part], classes=[0, 1, 2])
        theirs.partial_fit(X[part], y[part], classes=[0, 1, 2])
        assert len(recorded) == (1, 1, 2, 2)[call]
    assert_alike(ours, theirs)


@unconverged
def test_warm_start_goes_on():
    X, y = IRIS
    pair = [module.MLPClassifier(random_state=3, warm_start=True, max_iter=4) for module in (estimators, reference)]
    for estimator in pair:
        estimator.fit(X, y).fit(X, y)
    assert len(pair[0].loss_curve_) == 8
    assert_alike(*pair)
    with pytest.raises(ValueError, match="same classes"):
        pair[0].fit(X[:100], y[:100])


def test_a_classifier_of_numbers_says_that_it_wants_classes():
    x = np.random.default_rng(0).normal(size=(20, 3))
    for y in (x[:, 0], x):
        with pytest.raises(ValueError, match="Unknown label type: continuous"):
            MLPClassifier().fit(x, y)


@unconverged
def test_one_class_is_what_scikit_learn_makes_of_it():
    X, y = IRIS[0][:50], np.full(50, "setosa")
    ours, theirs = fitted_pair("MLPClassifier", X, y, max_iter=5)
    assert_alike(ours, theirs)
    np.testing.assert_array_equal(ours.predict(-9 * X), theirs.predict(-9 * X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)


@unconverged
def test_float32_from_the_data_or_by_parameter():
    X, y = IRIS
    by_data = MLPClassifier(max_iter=5, random_state=0).fit(X.astype(np.float32), y)
    by_parameter = MLPClassifier(max_iter=5, random_state=0, dtype="float32").fit(X, y)
    exact = MLPClassifier(max_iter=5, random_state=0).fit(X, y)
    for a, b, c in zip(by_data.coefs_, by_parameter.coefs_, exact.coefs_, strict=True):
        assert a.dtype == b.dtype == np.float32 and c.dtype == np.float64
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, atol=1e-5)
    assert by_data.predict_proba(X).dtype == np.float32


@unconverged
def test_sparse_inputs_are_the_dense_ones():
    X, y = IRIS
    dense = MLPClassifier(max_iter=5, random_state=0).fit(X, y)
    loose = MLPClassifier(max_iter=5, random_state=0).fit(sparse.csr_array(X), y)
    np.testing.assert_array_equal(dense.coefs_[0], loose.coefs_[0])
    np.testing.assert_array_equal(dense.predict(X), loose.predict(sparse.csc_array(X)))


def test_digits_as_well_as_scikit_learn_does():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    arguments = {"hidden_layer_sizes": 40, "max_iter": 60, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = reference.MLPClassifier(**arguments).fit(X_train, y_train).score(X_test, y_test)
        ours = MLPClassifier(**arguments, dtype="float32").fit(X_train, y_train).score(X_test, y_test)
        dropped = MLPClassifier(**arguments, dtype="float32", dropout=0.2).fit(X_train, y_train).score(X_test, y_test)
    assert theirs > 0.95
    assert abs(ours - theirs) < 0.01
    assert dropped > 0.93


@unconverged
def test_dropout_is_for_training_alone_and_seeded():
    X, y = IRIS
    first, again = (MLPClassifier(dropout=0.5, random_state=0, max_iter=10).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.coefs_[0], again.coefs_[0])
    np.testing.assert_array_equal(first.predict_proba(X), first.predict_proba(X))
    assert first.loss_ > MLPClassifier(random_state=0, max_iter=10).fit(X, y).loss_


def test_each_hidden_layer_has_its_activation():
    X, y = IRIS
    with pytest.warns(ConvergenceWarning):
        estimator = MLPClassifier((7, 5, 4), ("tanh", "logistic", "elu"), max_iter=5, random_state=0).fit(X, y)
    x = X
    functions = (np.tanh, lambda z: 1 / (1 + np.exp(-z)), lambda z: np.where(z > 0, z, np.expm1(z)), lambda z: z)
    for w, b, function in zip(estimator.coefs_, estimator.intercepts_, functions, strict=True):
        x = function(x @ w + b)
    expected = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(estimator.predict_proba(X), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="3 hidden layers"):
        MLPClassifier((7, 5, 4), ["tanh"]).fit(X, y)


def rectified(x):
    return ops.relu(x)


@unconverged
@pytest.mark.parametrize(
    "own", [rectified, layers.ReLU(), [layers.Activation("relu"), rectified]], ids=["function", "layer", "each"]
)
def test_own_activations_train_like_those_with_a_name(own):
    X, y = IRIS
    arguments = {"hidden_layer_sizes": (9, 6), "max_iter": 8, "random_state": 0}
    named = MLPRegressor(**arguments).fit(X, y)
    fitted = clone(MLPRegressor(activation=own, **arguments)).fit(X, y)
    for estimator in (fitted, pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_allclose(estimator.predict(X), named.predict(X), rtol=1e-9)


@unconverged
@pytest.mark.filterwarnings("ignore:.*step by step in Python")
def test_activations_may_have_weights_of_their_own():
    X, y = IRIS
    estimator = MLPClassifier((9, 6), layers.PReLU("ones"), max_iter=8, random_state=0).fit(X, y)
    slopes = [layer.alpha.data for layer in estimator.model_.layers if isinstance(layer, layers.PReLU)]
    assert [slope.shape for slope in slopes] == [(9,), (6,)]
    assert all((slope != 1).any() for slope in slopes)


@unconverged
def test_batch_norm_normalizes_what_goes_into_the_activation():
    X, y = IRIS[0] + 10, IRIS[1]
    arguments = {"activation": "tanh", "learning_rate_init": 0.01, "max_iter": 80, "random_state": 0}
    estimator = MLPClassifier(8, batch_norm=True, **arguments).fit(X, y)
    dense, norm = estimator.model_.layers[:2]
    z = X @ dense.kernel.data + dense.bias.data
    z = (z - norm.moving_mean.data) / np.sqrt(norm.moving_variance.data + 1e-3) * norm.gamma.data + norm.beta.data
    logits = np.tanh(z) @ estimator.coefs_[1] + estimator.intercepts_[1]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(estimator.predict_proba(X), expected, rtol=1e-9)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict_proba(X), estimator.predict_proba(X))
    # inputs so far from 0 saturate a network that does not normalize them
    assert estimator.score(X, y) > 0.7
    assert MLPClassifier(8, **arguments).fit(X, y).score(X, y) < 0.4


@unconverged
def test_validation_samples_are_evaluated_after_each_epoch():
    X, y = IRIS
    part, rest = slice(None, None, 2), slice(1, None, 2)
    estimator = MLPClassifier(max_iter=6, random_state=0, alpha=0.5).fit(X[part], y[part], X_val=X[rest], y_val=y[rest])
    assert len(estimator.validation_loss_curve_) == len(estimator.validation_scores_) == 6
    assert estimator.validation_loss_curve_[-1] == pytest.approx(log_loss(y[rest], estimator.predict_proba(X[rest])))
    assert estimator.validation_scores_[-1] == estimator.score(X[rest], y[rest])
    without = MLPClassifier(max_iter=6, random_state=0, alpha=0.5).fit(X[part], y[part])
    np.testing.assert_array_equal(estimator.coefs_[0], without.coefs_[0])
    assert without.validation_loss_curve_ is None


@unconverged
@pytest.mark.parametrize(
    ("loss", "metric"), [("squared_error", mean_squared_error), ("poisson", mean_poisson_deviance)], ids=["squares", "poisson"]
)
def test_validation_loss_of_numbers(loss, metric):
    X, y = IRIS[0][:, :3], IRIS[0][:, 3]
    estimator = MLPRegressor(loss, max_iter=3, random_state=0).fit(X, y, X_val=X[:40], y_val=y[:40])
    assert 2 * estimator.validation_loss_curve_[-1] == pytest.approx(metric(y[:40], estimator.predict(X[:40])))


def test_early_stopping_by_given_samples_sets_nothing_aside():
    X, y = IRIS
    estimator = MLPClassifier(early_stopping=True, random_state=0, n_iter_no_change=3, learning_rate_init=0.01)
    estimator.fit(X, y, X_val=X[::3], y_val=y[::3])
    assert estimator.t_ == estimator.n_iter_ * len(X)
    assert estimator.best_validation_score_ == max(estimator.validation_scores_) == estimator.score(X[::3], y[::3])


class Watcher(callbacks.Callback):
    def __init__(self):
        self.batches, self.logs = 0, []

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


@unconverged
def test_callbacks_see_epochs_and_batches_and_can_stop():
    X, y = IRIS
    watcher = Watcher()
    stopper = callbacks.EarlyStopping("val_accuracy", patience=2, min_delta=1.0, restore_best_weights=True)
    estimator = MLPClassifier(batch_size=60, random_state=0, callbacks=[watcher, stopper]).fit(X, y, X_val=X, y_val=y)
    assert estimator.n_iter_ == 3  # no accuracy is better than the first one by 1
    assert watcher.batches == 3 * 3
    assert [logs["loss"] for logs in watcher.logs] == estimator.loss_curve_
    assert [logs["val_loss"] for logs in watcher.logs] == estimator.validation_loss_curve_
    assert estimator.score(X, y) == estimator.validation_scores_[0]
    without = MLPClassifier(batch_size=60, random_state=0, max_iter=1).fit(X, y)
    np.testing.assert_array_equal(estimator.coefs_[0], without.coefs_[0])
    rates = callbacks.LearningRateScheduler(lambda epoch, rate: 0.0)
    frozen = MLPClassifier(batch_size=60, random_state=0, max_iter=2, callbacks=[rates]).fit(X, y)
    assert frozen.loss_curve_[1] == pytest.approx(frozen.loss_curve_[0])


@unconverged
def test_training_goes_on_from_a_file_that_is_only_mapped(tmp_path):
    X, y = IRIS
    estimator = MLPClassifier(random_state=0, max_iter=2, dropout=0.1, batch_norm=True).fit(X, y)
    joblib.dump(estimator, tmp_path / "estimator")
    mapped = joblib.load(tmp_path / "estimator", mmap_mode="r")
    for each in (estimator, mapped):
        each.partial_fit(X, y)
    np.testing.assert_array_equal(mapped.coefs_[0], estimator.coefs_[0])
    assert (mapped.coefs_[0] == mapped.model_.layers[0].kernel.data).all()


@unconverged
def test_partial_fit_goes_on_from_weights_put_in_place_by_hand():
    """As in scikit-learn's own test of a step worked by hand."""
    estimator = MLPClassifier(2, "logistic", solver="sgd", learning_rate_init=0.1, alpha=0.1, random_state=1, momentum=0)
    estimator.coefs_ = [np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0]]), np.array([[0.1], [0.2]])]
    estimator.intercepts_ = [np.array([0.1, 0.1]), np.array([1.0])]
    estimator.n_features_in_, estimator.out_activation_ = 3, "logistic"
    estimator.t_, estimator.loss_curve_, estimator.best_loss_, estimator._no_improvement_count = 0, [], np.inf, 0
    estimator.partial_fit([[0.6, 0.8, 0.7]], [0], classes=[0, 1])
    np.testing.assert_allclose(estimator.coefs_[0], [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]], atol=5e-4)
    np.testing.assert_allclose(estimator.intercepts_[1], [0.9235], atol=5e-4)


@unconverged
def test_class_weight_is_sample_weight():
    X, y = IRIS[0][40:], IRIS[1][40:]
    balanced = MLPClassifier(max_iter=10, random_state=0, class_weight="balanced").fit(X, y, sample_weight=WEIGHTS[40:])
    factors = np.array([110 / 3 / 10, 110 / 3 / 50, 110 / 3 / 50])[y]  # n / (classes * count of the class)
    weighted = reference.MLPClassifier(max_iter=10, random_state=0).fit(X, y, sample_weight=WEIGHTS[40:] * factors)
    np.testing.assert_allclose(balanced.coefs_[0], weighted.coefs_[0], rtol=1e-9)
    with pytest.raises(ValueError, match="partial_fit does not have"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_outliers_move_robust_losses_less(loss):
    X = np.linspace(-1, 1, 100)[:, None]
    y = 2 * X[:, 0]
    y[::10] += 20
    arguments = {
        "hidden_layer_sizes": (),
        "solver": "sgd",
        "learning_rate_init": 0.05,
        "max_iter": 400,
        "random_state": 0,
        "tol": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        errors = {
            name: np.abs(MLPRegressor(name, **arguments).fit(X, y).predict(X) - 2 * X[:, 0]).max()
            for name in ("squared_error", loss)
        }
    assert errors["squared_error"] > 1.5 > 0.5 > errors[loss]


@unconverged
def test_pipeline_and_parallel_grid_search():
    X, y = IRIS
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((8,), solver="lbfgs", max_iter=50, random_state=0))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 100.0]}, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"mlpclassifier__alpha": 0.1}
    assert search.best_score_ > 0.93


@unconverged
@pytest.mark.filterwarnings("error:training of")
def test_what_comes_from_a_pickle_trains_natively():
    X, y = pickle.loads(pickle.dumps((IRIS[0][:, :3], IRIS[0][:, 3])))
    first = MLPRegressor(max_iter=5, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(again.predict(X), first.predict(X))
    again.partial_fit(X, y)
    assert clone(again).get_params() == first.get_params()
    assert not hasattr(clone(again), "coefs_")
    assert np.isfinite(cross_val_score(first, X, y, cv=2, scoring="neg_mean_squared_error")).all()


@unconverged
def test_predictions_follow_weights_that_were_replaced():
    X, y = IRIS
    estimator = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    estimator.coefs_[-1] = np.zeros((100, 3))
    estimator.intercepts_[-1] = np.log([0.2, 0.3, 0.5])
    np.testing.assert_allclose(estimator.predict_proba(X[:2]), [[0.2, 0.3, 0.5]] * 2)


@unconverged
def test_feature_names_of_a_frame():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(IRIS[0], columns=list("abcd"))
    estimator = MLPClassifier(max_iter=2).fit(X, IRIS[1])
    assert list(estimator.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(X[list("dcba")])


def test_not_converged_is_a_warning():
    for solver in ("adam", "lbfgs"):
        with pytest.warns(ConvergenceWarning):
            MLPClassifier(max_iter=2, solver=solver, random_state=0).fit(*IRIS)


def test_verbose_prints_what_scikit_learn_prints(capsys):
    X, y = IRIS[0][:100], IRIS[1][:100]
    arguments = {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1, "learning_rate_init": 1e-5}
    for extra in ({}, {"early_stopping": True, "learning_rate": "constant"}):
        printed = []
        for module in (estimators, reference):
            module.MLPClassifier(verbose=True, random_state=0, **{**arguments, **extra}).fit(X, y)
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
        assert "Stopping." in printed[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", (3, 0)),
        ("hidden_layer_sizes", "10"),
        ("activation", "step"),
        ("activation", ["relu", 3]),
        ("callbacks", "early"),
        ("batch_norm", 2),
        ("solver", "newton"),
        ("alpha", -1),
        ("alpha", float("nan")),
        ("batch_size", 0),
        ("batch_size", "big"),
        ("learning_rate", "step"),
        ("learning_rate_init", 0),
        ("max_iter", 2.5),
        ("shuffle", "yes"),
        ("momentum", 1.5),
        ("validation_fraction", 1),
        ("beta_1", 1),
        ("epsilon", 0),
        ("n_iter_no_change", 0),
        ("dropout", 1),
        ("dtype", "int32"),
        ("class_weight", "even"),
        ("verbose", -1),
    ],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        MLPClassifier(**{name: value}).fit(*IRIS)


def test_bad_data_is_told():
    X, y = IRIS
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(X)
    with pytest.raises(ValueError, match="NaN"):
        MLPClassifier().fit(np.where(X > 5, np.nan, X), y)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        MLPClassifier(solver="lbfgs").partial_fit  # noqa: B018
    with pytest.raises(ValueError, match="validation set is too small"):
        MLPRegressor(early_stopping=True, validation_fraction=0.1).fit(X[:5], X[:5, 0])
    with pytest.raises(ValueError, match="X_val and y_val do not fit.*classes not in"):
        MLPClassifier().fit(X[:100], y[:100], X_val=X, y_val=y)
    with pytest.raises(ValueError, match="y_val is missing"):
        MLPClassifier().fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y must have 1 targets"):
        MLPRegressor(max_iter=1).partial_fit(X, X[:, 0]).partial_fit(X, X[:, :2])
    for name, value in {"dropout": 0.1, "batch_norm": True, "callbacks": [Watcher()]}.items():
        with pytest.raises(ValueError, match=f"{name} needs epochs of batches"):
            MLPClassifier(solver="lbfgs", **{name: value}).fit(X, y)
    with pytest.raises(ValueError, match="loss='poisson' needs targets of at least 0"):
        MLPRegressor("poisson").fit(X, -X[:, 0])
    with pytest.raises(ValueError, match="positive sum"):
        MLPClassifier(shuffle=False, batch_size=50).fit(X, y, sample_weight=np.repeat([0.0, 1.0], [50, 100]))
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        MLPRegressor(solver="sgd", learning_rate_init=1e10, max_iter=50).fit(X, 1e6 * X[:, 0])
    with pytest.warns(UserWarning, match="batch_size"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        MLPClassifier(batch_size=1000, max_iter=1).fit(X, y)


def test_without_scikit_learn_the_extra_is_named():
    code = "import sys; sys.modules['sklearn'] = None; import fastnn; import fastnn.estimators"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: fastnn.estimators needs scikit-learn: pip install 'fastnn-kernels[sklearn]'" in done.stderr
