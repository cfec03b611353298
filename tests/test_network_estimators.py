"""CNNs, the perceptron and any Sequential as scikit-learn estimators."""

import pickle

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn
from fastnn import layers, losses, optimizers
from fastnn.estimators import CNNClassifier, CNNRegressor, NetworkClassifier, NetworkRegressor, PerceptronClassifier

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
IRIS = load_iris(return_X_y=True)
DIGITS = load_digits()
IMAGES, LABELS = DIGITS.images[:300].astype(np.float32) / 16, DIGITS.target[:300]


def dense_network(input_shape, n_outputs, units=16, dtype="float64"):
    return fastnn.Sequential([layers.Dense(units, "relu", dtype=dtype), layers.Dense(n_outputs, dtype=dtype)])


def small_cnn(**arguments):
    return CNNClassifier(**{"filters": 4, "hidden_layer_sizes": 8, "max_iter": 4, "random_state": 0, **arguments})


CHECKED = [
    CNNClassifier(filters=8, hidden_layer_sizes=16, max_iter=60),
    CNNRegressor(filters=8, hidden_layer_sizes=16, max_iter=60),
    NetworkClassifier(dense_network, optimizer=optimizers.Adam(0.01), max_iter=60),
    NetworkRegressor(dense_network, optimizer=optimizers.Adam(0.01), max_iter=60),
    PerceptronClassifier(max_iter=5),
]
#: what scikit-learn expects of its own Perceptron
ORDER_COUNTS = dict.fromkeys(
    [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")],
    "two steps on a sample are not a step of twice the weight",
)


@pytest.mark.filterwarnings("ignore")  # the checks' data are too small for much that is warned of
@parametrize_with_checks(CHECKED, expected_failed_checks=lambda e: ORDER_COUNTS if isinstance(e, PerceptronClassifier) else {})
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------------------------- all of them


@unconverged
@pytest.mark.parametrize("estimator", CHECKED, ids=lambda e: type(e).__name__)
def test_the_same_random_state_gives_the_same_network(estimator):
    X, y = IRIS
    fastnn.set_seed(7)
    state = fastnn.random.generator().bit_generator.state
    first, again, other = (clone(estimator).set_params(random_state=seed, max_iter=3).fit(X, y) for seed in (1, 1, 2))
    assert fastnn.random.generator().bit_generator.state == state
    for a, b, c in zip(first.model_.get_weights(), again.model_.get_weights(), other.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.size < 4 or (a != c).any()


@unconverged
@pytest.mark.parametrize("estimator", CHECKED, ids=lambda e: type(e).__name__)
def test_training_goes_on_after_a_pickle(estimator):
    X, y = IRIS
    classes = {} if "Regressor" in type(estimator).__name__ else {"classes": [0, 1, 2]}
    whole = clone(estimator).set_params(random_state=0)
    parts = clone(whole)
    for part in (slice(0, 90), slice(60, 150)):
        whole.partial_fit(X[part], y[part], **classes)
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X[part], y[part], **classes)))
    for a, b in zip(parts.model_.get_weights(), whole.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert parts.predict(X).shape == (150,)


@unconverged
@pytest.mark.parametrize("estimator", CHECKED, ids=lambda e: type(e).__name__)
def test_bad_data_is_told(estimator):
    X, y = IRIS
    estimator = clone(estimator).set_params(max_iter=1)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.where(X > 5, np.nan, X), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator.fit(X, y[:-1])
    with pytest.raises(ValueError, match="4 features"):
        estimator.fit(X, y).predict(X[:, :3])
    with pytest.raises(ValueError, match="callbacks"):
        clone(estimator).set_params(callbacks=[print]).fit(X, y)
    if "Regressor" in type(estimator).__name__:
        return
    with pytest.raises(ValueError, match="at least 2 classes"):
        estimator.fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="classes not in"):
        clone(estimator).partial_fit(X, y, classes=[0, 1])


@unconverged
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_grid_search_in_processes_and_threads(backend):
    import joblib

    X, y = IMAGES.reshape(300, 64)[:120], LABELS[:120]
    pipeline = make_pipeline(StandardScaler(), small_cnn(learning_rate_init=0.01, batch_size=20))
    with joblib.parallel_config(backend=backend, n_jobs=2):
        search = GridSearchCV(pipeline, {"cnnclassifier__learning_rate_init": [1e-6, 0.01]}, cv=2).fit(X, y)
        assert search.best_params_ == {"cnnclassifier__learning_rate_init": 0.01}
        # a model, not a function: other processes cannot import this module
        classifier = NetworkClassifier(dense_network((4,), 3), random_state=0, max_iter=60, optimizer=optimizers.Adam(0.02))
        assert cross_val_score(classifier, *IRIS, cv=2).mean() > 0.85


# ------------------------------------------------------------------------------------- images


@unconverged
def test_images_may_have_three_axes_or_four_or_be_flat():
    expected = small_cnn().fit(IMAGES, LABELS)
    assert expected.input_shape_ == (8, 8, 1)
    assert expected.n_features_in_ == 64
    for images in (IMAGES[..., np.newaxis], IMAGES.reshape(300, 64), IMAGES.tolist()):
        other = small_cnn(dtype="float32").fit(images, LABELS)
        np.testing.assert_array_equal(other.predict_proba(images), expected.predict_proba(IMAGES))
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\).*got \(16, 4\)"):
        expected.predict(IMAGES.reshape(300, 16, 4))
    with pytest.raises(ValueError, match=r"samples of shape \(8, 8, 1\); got \(8, 8\): a single one is X\[None\]"):
        expected.predict(IMAGES[0])


@unconverged
def test_images_that_may_have_their_channels_first():
    colours = np.stack([IMAGES[:40]] * 3, axis=1)
    with pytest.warns(
        UserWarning, match=r"shape \(3, 8, 8\), taken as 3 x 8 pixels of 8 channels.*np.moveaxis\(X, 1, -1\)"
    ) as warned:
        small_cnn(max_iter=1).fit(colours, LABELS[:40])
    assert warned[0].filename == __file__
    for images, shape in ((np.moveaxis(colours, 1, -1), None), (colours, (3, 8, 8))):  # without a warning
        small_cnn(max_iter=1, image_shape=shape).fit(images, LABELS[:40])


@unconverged
def test_flat_images_that_are_not_square():
    flat = IMAGES.reshape(300, 64)
    assert small_cnn(image_shape=(4, 16)).fit(flat, LABELS).input_shape_ == (4, 16, 1)
    assert small_cnn(image_shape=(4, 8, 2)).fit(flat, LABELS).model_.layers[0].kernel.shape == (3, 3, 2, 4)
    assert small_cnn().fit(flat[:, :63], LABELS).input_shape_ == (1, 63, 1)
    for images, shape in ((flat, (8, 9)), (IMAGES, (4, 16))):
        with pytest.raises(ValueError, match="image_shape"):
            small_cnn(image_shape=shape).fit(images, LABELS)
    with pytest.raises(ValueError, match="image_shape"):
        small_cnn(image_shape=64).fit(flat, LABELS)
    with pytest.raises(ValueError, match="images"):
        small_cnn().fit(IMAGES[..., np.newaxis, np.newaxis], LABELS)


@unconverged
def test_bytes_are_divided_by_255():
    pixels = (IMAGES * 255).astype(np.uint8)
    of_bytes = small_cnn().fit(pixels, LABELS)
    of_floats = small_cnn().fit(pixels.astype(np.float32) / 255, LABELS)
    assert of_bytes.model_.dtype == np.float32
    expected = of_floats.predict_proba(pixels.astype(np.float32) / 255)
    for same in (pixels, pixels.astype(np.float64)):
        np.testing.assert_allclose(of_bytes.predict_proba(same), expected, rtol=1e-3)


def test_a_cnn_learns_digits_and_stops_early():
    digits = CNNClassifier((8, 16), hidden_layer_sizes=32, batch_norm=True, dropout=0.2, early_stopping=True, random_state=0,
                           n_iter_no_change=3, learning_rate_init=0.005, batch_size=50)  # fmt: skip
    X, y = DIGITS.images.astype(np.float32) / 16, DIGITS.target
    digits.fit(X[:1200], y[:1200], X_val=X[1200:1500], y_val=y[1200:1500])
    assert digits.score(X[1500:], y[1500:]) > 0.93
    assert digits.best_validation_score_ == digits.score(X[1200:1500], y[1200:1500])
    names = [layer.name for layer in digits.model_.layers]
    assert names[:4] == ["conv_0", "batch_norm_conv_0", "activation_conv_0", "pool_0"]
    assert "dropout_0" in names


@unconverged
def test_a_cnn_has_scikit_learns_penalty():
    bare, held = (small_cnn(alpha=alpha, max_iter=1, batch_size=300, dtype="float64").fit(IMAGES, LABELS) for alpha in (0, 3))
    start = small_cnn(alpha=0, max_iter=1, batch_size=300, dtype="float64", solver="sgd", learning_rate_init=1e-12).fit(
        IMAGES, LABELS
    )
    squares = sum((w.data**2).sum() for w in start.model_.weights if w.name == "kernel")
    assert held.loss_ - bare.loss_ == pytest.approx(1.5 * squares / 300)


@unconverged
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_numbers_from_images(loss):
    ink = IMAGES.mean(axis=(1, 2)) * 10
    regressor = CNNRegressor(loss, 4, hidden_layer_sizes=8, learning_rate_init=0.01, max_iter=60, random_state=0)
    assert regressor.fit(IMAGES, ink).score(IMAGES, ink) > 0.7
    assert CNNRegressor(loss, 4, max_iter=2).fit(IMAGES, np.stack([ink, 2 * ink], axis=1)).predict(IMAGES).shape == (300, 2)


# ------------------------------------------------------------------------------------- the perceptron


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"penalty": "l2", "alpha": 0.01}, {"eta0": 0.3, "fit_intercept": False}, {"class_weight": {0: 3.0, 1: 0.5}}],
    ids=lambda arguments: "-".join(arguments) or "defaults",
)
def test_perceptron_makes_scikit_learns_steps(classes, arguments):
    if classes == 3 and "class_weight" in arguments:
        arguments = {}  # scikit-learn weights each class in its own problem only
    X, y = IRIS[0][IRIS[1] < classes], IRIS[1][IRIS[1] < classes]
    pair = [cls(shuffle=False, tol=None, max_iter=7, **arguments) for cls in (PerceptronClassifier, linear_model.Perceptron)]
    for estimator in pair:
        estimator.fit(X, y)
    for attribute in ("coef_", "intercept_", "n_iter_", "classes_"):
        np.testing.assert_allclose(*(getattr(estimator, attribute) for estimator in pair), atol=1e-12)
    np.testing.assert_allclose(*(estimator.decision_function(X) for estimator in pair), atol=1e-11)
    np.testing.assert_array_equal(*(estimator.predict(X) for estimator in pair))


def test_perceptron_stops_as_scikit_learns():
    X, y = IRIS[0][:100], IRIS[1][:100]
    ours, theirs = (cls(shuffle=False).fit(X, y) for cls in (PerceptronClassifier, linear_model.Perceptron))
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)
    with pytest.raises(ValueError, match="several labels"):
        PerceptronClassifier().fit(*make_multilabel_classification(30))
    with pytest.raises(ValueError, match="penalty"):
        PerceptronClassifier(penalty="l3").fit(X, y)


# ------------------------------------------------------------------------------------- any Sequential


@unconverged
def test_a_network_trains_as_by_keras_loop():
    X, y = IRIS
    made = []

    def function(input_shape, n_outputs):
        made.append(dense_network(input_shape, n_outputs))
        made[-1].build((None, *input_shape))
        return made[-1]

    regressor = NetworkRegressor(function, optimizer="rmsprop", batch_size=40, shuffle=False, max_iter=5, random_state=0)
    regressor.fit(X[:, :3], X[:, 3], X_val=X[:10, :3], y_val=X[:10, 3])
    assert regressor.model_ is made[0]
    by_hand = (
        NetworkRegressor(dense_network, optimizer=optimizers.SGD(0.0), max_iter=1, random_state=0).fit(X[:, :3], X[:, 3]).model_
    )
    by_hand.compile("rmsprop", "mse")
    history = by_hand.fit(X[:, :3], X[:, 3:], batch_size=40, epochs=5, shuffle=False, verbose=0,
                          validation_data=(X[:10, :3], X[:10, 3:])).history  # fmt: skip
    np.testing.assert_allclose(regressor.loss_curve_, history["loss"], rtol=1e-9)
    np.testing.assert_allclose(regressor.validation_loss_curve_, history["val_loss"], rtol=1e-9)
    np.testing.assert_allclose(regressor.predict(X[:, :3]), by_hand.predict(X[:, :3])[:, 0], rtol=1e-9)


@unconverged
def test_the_model_given_stays_as_it_is():
    model = fastnn.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, "softmax", kernel_regularizer="l2")])
    before = model.get_weights()
    classifier = NetworkClassifier(model, max_iter=2, random_state=0).fit(IMAGES, LABELS)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert not np.array_equal(classifier.model_.get_weights()[0], before[0])
    assert classifier.input_shape_ == (8, 8, 1)
    np.testing.assert_array_equal(classifier.predict(IMAGES.reshape(300, 64)), classifier.predict(IMAGES))
    bare = fastnn.Sequential([layers.Flatten(), layers.Dense(10, "softmax")])
    start = NetworkClassifier(bare, max_iter=1, batch_size=300, random_state=0).fit(IMAGES, LABELS)
    full = NetworkClassifier(model, max_iter=1, batch_size=300, random_state=0).fit(IMAGES, LABELS)
    assert full.loss_ > start.loss_ + 0.01  # the regularizer's penalty


@unconverged
def test_two_classes_by_one_output_or_two():
    X, y = IRIS[0][:100], np.array(["a", "b"])[IRIS[1][:100]]
    for outputs, last in ((1, "sigmoid"), (1, None), (2, "softmax"), (2, None)):
        model = fastnn.Sequential([layers.Dense(outputs, last, dtype="float64")])
        classifier = NetworkClassifier(model, optimizer=optimizers.Adam(0.1), max_iter=40, random_state=0).fit(
            X, y, X_val=X, y_val=y
        )
        assert classifier.score(X, y) == 1.0
        assert classifier.predict_proba(X).shape == (100, 2)
        assert classifier.validation_loss_curve_[-1] == pytest.approx(log_loss(y, classifier.predict_proba(X)))


@unconverged
def test_several_labels_of_a_sample():
    X, y = make_multilabel_classification(n_samples=100, random_state=0)
    classifier = NetworkClassifier(dense_network, model_kwargs={"units": 30}, optimizer=optimizers.Adam(0.01), random_state=0)
    classifier.fit(X, y)
    assert classifier.predict(X).shape == classifier.predict_proba(X).shape == y.shape
    assert (classifier.predict(X) == y).mean() > 0.9
    assert classifier.model_.layers[0].units == 30


@unconverged
@pytest.mark.parametrize(
    "loss",
    ["mse", "categorical_crossentropy", "sparse_categorical_crossentropy", losses.CategoricalCrossentropy(label_smoothing=0.1)],
    ids=str,
)
def test_a_loss_of_the_library(loss):
    X, y = IRIS
    model = fastnn.Sequential([layers.Dense(16, "tanh"), layers.Dense(3, "softmax")])
    classifier = NetworkClassifier(model, loss=loss, optimizer=optimizers.Adam(0.02), max_iter=80, random_state=0).fit(X, y)
    assert classifier.score(X, y) > 0.9


@unconverged
@pytest.mark.parametrize(
    ("outputs", "last", "loss"),
    [
        (1, "sigmoid", losses.BinaryCrossentropy),
        (2, "softmax", losses.CategoricalCrossentropy),
        (2, "softmax", losses.SparseCategoricalCrossentropy),
    ],
)
def test_logits_become_probabilities(outputs, last, loss):
    X, y = IRIS[0][50:], IRIS[1][50:]
    logits, probabilities, both = (
        NetworkClassifier(
            fastnn.Sequential([layers.Dense(outputs, activation)]), loss=loss(from_logits=from_logits), max_iter=5, random_state=0
        ).fit(X, y)
        for activation, from_logits in ((None, True), (last, False), (last, True))
    )
    for classifier in (logits, both):
        np.testing.assert_array_equal(classifier.predict_proba(X), probabilities.predict_proba(X))
        np.testing.assert_array_equal(classifier.predict(X), probabilities.predict(X))
    assert logits.predict_proba(X).min() >= 0


@unconverged
@pytest.mark.parametrize("loss", ["hinge", losses.Perceptron()], ids=str)
def test_margins_tell_classes_apart_at_zero(loss):
    X, y = IRIS[0][50:], IRIS[1][50:]
    model = fastnn.Sequential([layers.Dense(1)])
    classifier = NetworkClassifier(model, loss=loss, optimizer=optimizers.Adam(0.01), max_iter=30, random_state=0).fit(X, y)
    margin = classifier.model_.predict(X)[:, 0]
    assert ((margin > 0) & (margin < 0.5)).any()
    np.testing.assert_array_equal(classifier.predict(X), np.where(margin > 0, 2, 1))
    assert not hasattr(classifier, "predict_proba") and not hasattr(classifier, "predict_log_proba")
    assert hasattr(NetworkClassifier(model), "predict_proba")


@unconverged
def test_models_that_do_not_fit_are_told():
    X, y = IRIS

    def classify(*stack, **arguments):
        return NetworkClassifier(fastnn.Sequential(stack), max_iter=1, **arguments).fit(X, y)

    with pytest.raises(ValueError, match="model has 2 outputs, y has 3 classes"):
        classify(layers.Dense(2, "softmax"))
    with pytest.raises(ValueError, match="must end with a softmax"):
        classify(layers.Dense(3, "relu"))
    with pytest.raises(ValueError, match=r"takes samples of shape \(5,\)"):
        classify(layers.Input((5,)), layers.Dense(3))
    with pytest.raises(ValueError, match="row for each sample"):
        NetworkClassifier(fastnn.Sequential([layers.Conv2D(3, 3)]), max_iter=1).fit(IMAGES[..., np.newaxis], LABELS)
    with pytest.raises(ValueError, match="model_kwargs are for a function"):
        classify(layers.Dense(3), model_kwargs={"units": 3})
    with pytest.raises(ValueError, match="'model'"):
        NetworkClassifier("mlp").fit(X, y)
    with pytest.raises(TypeError, match=r"must take \(input_shape, n_outputs, units\); it takes \(units=8\): multiple values"):
        NetworkClassifier(lambda units=8: None, model_kwargs={"units": 4}).fit(X, y)
    with pytest.raises(TypeError, match="must return a Sequential"):
        NetworkClassifier(lambda input_shape, n_outputs: None).fit(X, y)
    with pytest.raises(ValueError, match="model has 3 outputs, y has 1 targets"):
        NetworkRegressor(fastnn.Sequential([layers.Dense(3)])).fit(X, y)
    with pytest.raises(ValueError, match="loss for each sample"):
        NetworkRegressor(dense_network, loss=lambda y, p: fastnn.ops.mean(fastnn.ops.square(y - p))).fit(X, y)
