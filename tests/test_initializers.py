"""Initializers against the distributions that they claim, and the process's random numbers."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import initializers, random

SHAPE = (300, 500)
FAN_IN, FAN_OUT = SHAPE
CONV_SHAPE = (3, 5, 40, 120)
CONV_FAN_IN, CONV_FAN_OUT = 3 * 5 * 40, 3 * 5 * 120

#: of the standard normal distribution cut off at -2 and 2: 1 - 2 * 2 * density(2) / probability(-2 to 2)
TRUNCATED_STDDEV = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


def draw(initializer, shape=SHAPE, dtype="float64"):
    fastnn.set_seed(0)
    return initializers.get(initializer)(shape, dtype=dtype)


def test_constants():
    np.testing.assert_array_equal(draw("zeros"), np.zeros(SHAPE))
    np.testing.assert_array_equal(draw("ones"), np.ones(SHAPE))
    np.testing.assert_array_equal(draw(initializers.Constant(2.5)), np.full(SHAPE, 2.5))
    np.testing.assert_array_equal(draw(initializers.Constant([1, 2, 3]), (2, 3)), [[1, 2, 3], [1, 2, 3]])
    assert initializers.Constant([1, 2, 3])((3,)).flags.writeable


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("glorot_uniform", math.sqrt(6 / (FAN_IN + FAN_OUT))),
        ("he_uniform", math.sqrt(6 / FAN_IN)),
        ("lecun_uniform", math.sqrt(3 / FAN_IN)),
        ("random_uniform", 0.05),
    ],
)
def test_uniform(name, limit):
    drawn = draw(name)
    assert np.abs(drawn).max() <= limit
    assert drawn.max() > 0.999 * limit and drawn.min() < -0.999 * limit
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.quantile(drawn, quantile) == pytest.approx(limit * (2 * quantile - 1), abs=0.01 * limit)


@pytest.mark.parametrize(
    ("name", "stddev"),
    [
        ("glorot_normal", math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("he_normal", math.sqrt(2 / FAN_IN)),
        ("lecun_normal", math.sqrt(1 / FAN_IN)),
    ],
)
def test_scaled_truncated_normal_has_its_deviation_after_truncation(name, stddev):
    drawn = draw(name)
    assert drawn.std() == pytest.approx(stddev, rel=0.01)
    assert abs(drawn.mean()) < 0.01 * stddev
    bound = 2 * stddev / TRUNCATED_STDDEV
    assert 0.995 * bound < np.abs(drawn).max() <= bound * (1 + 1e-12)


def test_truncated_normal_is_not_widened():
    drawn = draw(initializers.TruncatedNormal(mean=3.0, stddev=0.5))
    assert drawn.std() == pytest.approx(0.5 * TRUNCATED_STDDEV, rel=0.01)
    assert drawn.mean() == pytest.approx(3.0, abs=0.005)
    assert np.abs(drawn - 3.0).max() <= 1.0


def test_random_normal():
    drawn = (draw(initializers.RandomNormal(mean=-1.0, stddev=2.0)) + 1.0) / 2.0
    assert abs(drawn.mean()) < 0.01
    for limit in (1.0, 2.0, 3.0):
        assert np.mean(np.abs(drawn) < limit) == pytest.approx(math.erf(limit / math.sqrt(2)), abs=0.004)


@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
@pytest.mark.parametrize(
    ("mode", "n"), [("fan_in", CONV_FAN_IN), ("fan_out", CONV_FAN_OUT), ("fan_avg", (CONV_FAN_IN + CONV_FAN_OUT) / 2)]
)
def test_variance_scaling_of_a_convolution(mode, n, distribution):
    drawn = draw(initializers.VarianceScaling(scale=3.0, mode=mode, distribution=distribution), CONV_SHAPE)
    assert drawn.var() == pytest.approx(3.0 / n, rel=0.02)
    assert (np.abs(drawn).max() > 3 * drawn.std()) == (distribution == "untruncated_normal")


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((7,), (7, 7)), ((3, 4), (3, 4)), ((5, 5, 6, 16), (150, 400)), ((2, 3, 4), (6, 8))],
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "random_normal", "random_uniform", "truncated_normal"])
def test_seeds(name):
    cls = getattr(initializers, name)
    with_seed = cls(seed=5)
    np.testing.assert_array_equal(with_seed(SHAPE), with_seed(SHAPE))
    np.testing.assert_array_equal(with_seed(SHAPE), cls(seed=5)(SHAPE))
    assert not np.array_equal(with_seed(SHAPE), cls(seed=6)(SHAPE))
    without = cls()
    assert not np.array_equal(without(SHAPE), without(SHAPE))
    np.testing.assert_array_equal(draw(name), draw(name))


def test_a_seed_of_its_own_leaves_the_process_alone():
    fastnn.set_seed(1)
    expected = random.generator().random()
    fastnn.set_seed(1)
    initializers.GlorotUniform(seed=3)(SHAPE)
    assert random.generator().random() == expected


@pytest.mark.parametrize("name", sorted(initializers._BY_NAME))
def test_both_float_types_get_the_same_weights(name):
    single, double = draw(name, dtype="float32"), draw(name, dtype="float64")
    assert single.dtype == np.float32 and double.dtype == np.float64
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize(
    "initializer",
    [
        initializers.Constant(2.0),
        initializers.Constant(np.array([1.0, 2.0])),
        initializers.Zeros(),
        initializers.RandomNormal(1.0, 2.0, seed=3),
        initializers.RandomUniform(-1.0, 2.0, seed=3),
        initializers.TruncatedNormal(1.0, 2.0, seed=3),
        initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=3),
        initializers.HeNormal(seed=3),
    ],
    ids=repr,
)
def test_config_round_trip(initializer):
    described = initializers.serialize(initializer)
    again = initializers.get(described)
    assert type(again) is type(initializer)
    assert initializers.serialize(again) == described
    np.testing.assert_array_equal(again((3, 2)), initializer((3, 2)))


def test_get():
    assert isinstance(initializers.get("HeNormal"), initializers.HeNormal)
    assert isinstance(initializers.get("he_normal"), initializers.HeNormal)
    assert isinstance(initializers.get(initializers.HeNormal), initializers.HeNormal)
    instance = initializers.HeNormal()
    assert initializers.get(instance) is instance
    assert initializers.get(np.zeros) is np.zeros
    with pytest.raises(ValueError, match="one of .*'glorot_uniform'.*got 'glorot'"):
        initializers.get("glorot")
    with pytest.raises(ValueError, match="class_name must be one of .*got 'os.system'"):
        initializers.get({"class_name": "os.system", "config": {}})
    with pytest.raises(TypeError, match="got 3"):
        initializers.get(3)


@pytest.mark.parametrize(
    "arguments",
    [{"scale": 0.0}, {"scale": float("nan")}, {"mode": "fan"}, {"distribution": "normal"}],
    ids=lambda arguments: next(iter(arguments)),
)
def test_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"{name} must be .*got"):
        initializers.VarianceScaling(**arguments)


def test_set_seed():
    fastnn.set_seed(3)
    first = random.generator().random(4), random.new_seed()
    fastnn.set_seed(np.int64(3))
    np.testing.assert_array_equal(random.generator().random(4), first[0])
    assert random.new_seed() == first[1]
    assert random.new_seed() != first[1]
    with pytest.raises(TypeError, match="seed must be an integer; got 'a'"):
        fastnn.set_seed("a")
    with pytest.raises(ValueError, match="must not be negative; got -1"):
        fastnn.set_seed(-1)


def test_drawing_from_a_seed_of_a_block_leaves_the_process_alone():
    fastnn.set_seed(1)
    expected = random.generator().random(3)
    fastnn.set_seed(1)
    with random.drawing_from(5):
        drawn, seed = initializers.GlorotUniform()(SHAPE), random.new_seed()
    np.testing.assert_array_equal(random.generator().random(3), expected)
    with random.drawing_from(5):
        np.testing.assert_array_equal(initializers.GlorotUniform()(SHAPE), drawn)
        assert random.new_seed() == seed
