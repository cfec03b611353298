"""Optimizers against transcriptions of the published updates and worked first steps; schedules against worked numbers."""

import math
import pickle
from copy import deepcopy

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.autodiff import GradientTape, Tensor, Variable
from fastnn.kernels import table
from fastnn.optimizers import schedules

STEPS = 20
SHAPES = [(3, 4), (5,), ()]


def random_gradients(seed=0):
    rng = np.random.default_rng(seed)
    return [[rng.normal(size=shape) for shape in SHAPES] for _ in range(STEPS)]


def new_variables(dtype=np.float64, seed=1):
    rng = np.random.default_rng(seed)
    return [Variable(rng.normal(size=shape).astype(dtype), name=f"w{i}") for i, shape in enumerate(SHAPES)]


# Transcriptions: the update of one array, with a dict that is kept from step to step; t counts from 1.


def sgd(w, g, s, t, lr=0.01):
    return w - lr * g


def momentum(w, g, s, t, lr=0.1, mu=0.9):
    s["v"] = mu * s.get("v", 0.0) - lr * g
    return w + s["v"]


def nesterov(w, g, s, t, lr=0.1, mu=0.9):
    s["v"] = mu * s.get("v", 0.0) - lr * g
    return w + mu * s["v"] - lr * g


def adagrad(w, g, s, t, lr=0.001, start=0.1, eps=1e-7):
    s["a"] = s.get("a", start) + g**2
    return w - lr * g / np.sqrt(s["a"] + eps)


def rmsprop(w, g, s, t, lr=0.001, rho=0.9, eps=1e-7):
    s["a"] = rho * s.get("a", 0.0) + (1 - rho) * g**2
    return w - lr * g / np.sqrt(s["a"] + eps)


def adam(w, g, s, t, lr=0.001, b1=0.9, b2=0.999, eps=1e-7):
    # Kingma & Ba's algorithm 1 with the epsilon of their section 2: eps there is eps * sqrt(1 - b2**t) here
    s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0.0) + (1 - b2) * g**2
    m_hat, v_hat = s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps / np.sqrt(1 - b2**t))


def adamw(w, g, s, t, lr=0.001, decay=0.004, **kwargs):
    return adam(w - lr * decay * w, g, s, t, lr, **kwargs)


CASES = {
    "sgd": (lambda: optimizers.SGD(), sgd),
    "sgd 0.5": (lambda: optimizers.SGD(0.5), lambda w, g, s, t: sgd(w, g, s, t, lr=0.5)),
    "momentum": (lambda: optimizers.SGD(0.1, momentum=0.9), momentum),
    "momentum 1": (lambda: optimizers.SGD(0.1, momentum=1.0), lambda w, g, s, t: momentum(w, g, s, t, mu=1.0)),
    "nesterov": (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), nesterov),
    "adagrad": (lambda: optimizers.Adagrad(), adagrad),
    "adagrad from 0": (
        lambda: optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-3),
        lambda w, g, s, t: adagrad(w, g, s, t, lr=0.1, start=0.0, eps=1e-3),
    ),
    "rmsprop": (lambda: optimizers.RMSprop(), rmsprop),
    "rmsprop 0.5": (
        lambda: optimizers.RMSprop(0.1, rho=0.5, epsilon=1e-3),
        lambda w, g, s, t: rmsprop(w, g, s, t, lr=0.1, rho=0.5, eps=1e-3),
    ),
    "adam": (lambda: optimizers.Adam(), adam),
    "adam 0.5": (
        lambda: optimizers.Adam(0.1, beta_1=0.5, beta_2=0.8, epsilon=1e-2),
        lambda w, g, s, t: adam(w, g, s, t, lr=0.1, b1=0.5, b2=0.8, eps=1e-2),
    ),
    "adamw": (lambda: optimizers.AdamW(), adamw),
    "adamw 0.1": (lambda: optimizers.AdamW(0.01, weight_decay=0.1), lambda w, g, s, t: adamw(w, g, s, t, lr=0.01, decay=0.1)),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES)
def test_twenty_steps_of_the_published_update(case, dtype):
    make, update = CASES[case]
    optimizer, variables = make(), new_variables(dtype)
    expected = [v.numpy().astype(np.float64) for v in variables]
    states = [{} for _ in variables]
    for t, gradients in enumerate(random_gradients(), start=1):
        gradients = [np.asarray(g).astype(dtype) for g in gradients]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        expected = [update(w, g.astype(np.float64), s, t) for w, g, s in zip(expected, gradients, states, strict=True)]
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    for variable, value in zip(variables, expected, strict=True):
        assert variable.dtype == dtype
        np.testing.assert_allclose(variable.numpy(), value, rtol=tolerance, atol=tolerance)
    assert optimizer.iterations == STEPS


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("sgd", 1 - 0.01 * 0.5),
        ("adagrad", 1 - 0.001 * 0.5 / math.sqrt(0.1 + 0.25 + 1e-7)),
        ("rmsprop", 1 - 0.001 * 0.5 / math.sqrt(0.1 * 0.25 + 1e-7)),  # lr * sqrt(10), nearly
        ("adam", 1 - 0.001 * 0.5 / (0.5 + 1e-7 / math.sqrt(0.001))),  # lr, nearly, whatever the gradient
        ("adamw", (1 - 0.001 * 0.004) - 0.001 * 0.5 / (0.5 + 1e-7 / math.sqrt(0.001))),
    ],
)
def test_first_step_with_the_defaults(name, after):
    """The weight 1 with the gradient 0.5."""
    w = Variable(np.array([1.0]))
    optimizers.get(name).apply([np.array([0.5])], [w])
    np.testing.assert_allclose(w.numpy(), [after], rtol=1e-12)


def test_first_two_steps_with_momentum():
    """Weight 1, gradient 1, rate 0.1, momentum 0.5: v = -0.1, then -0.15."""
    for nesterov, after in ((False, [0.9, 0.75]), (True, [0.85, 0.675])):
        w = Variable(np.array([1.0]))
        optimizer = optimizers.SGD(0.1, momentum=0.5, nesterov=nesterov)
        for value in after:
            optimizer.apply([np.array([1.0])], [w])
            np.testing.assert_allclose(w.numpy(), [value], rtol=1e-14)


def test_gradients_of_a_tape_reach_the_minimum():
    w = Variable(np.array([4.0, -3.0]))
    optimizer = optimizers.SGD(0.25)
    for _ in range(30):
        with GradientTape() as tape:
            loss = (w - np.array([1.0, 2.0])) ** 2
        optimizer.apply_gradients(zip([tape.gradient(loss, w)], [w], strict=True))
    np.testing.assert_allclose(w.numpy(), [1.0, 2.0], atol=1e-8)


def test_a_step_is_kernel_calls_alone():
    for make, _ in CASES.values():
        optimizer, variables = make(), new_variables(np.float32)
        gradients = [Tensor(np.ones(v.shape, np.float32)) for v in variables]
        with table.record() as recording:
            optimizer.apply(gradients, variables)
        names = [name for name, _ in recording.calls]
        assert names == ["increment"] + [optimizer.kernel] * 3 and not recording.python_steps


def test_state_is_created_once_and_kept():
    optimizer, variables = optimizers.Adam(), new_variables()
    optimizer.build(variables)
    with table.record() as recording:
        for gradients in random_gradients()[:2]:
            optimizer.apply(gradients, variables)
    arrays = [args[-2:] for name, args in recording.calls if name == "adam_step"]
    for (m, v), (m_again, v_again) in zip(arrays[:3], arrays[3:], strict=True):
        assert m is m_again and v is v_again


# clipping


def one_step(gradients, **limits):
    variables = [Variable(np.zeros(np.shape(g))) for g in gradients]
    optimizer = optimizers.SGD(1.0, **limits)
    with table.record() as recording:
        optimizer.apply(gradients, variables)
    assert "clip" in recording.python_steps
    return [-v.numpy() for v in variables]


def test_clipvalue_limits_elements():
    a, b = one_step([np.array([3.0, -0.2]), np.array(-7.0)], clipvalue=0.5)
    np.testing.assert_array_equal(a, [0.5, -0.2])
    assert b == -0.5


def test_clipnorm_scales_each_gradient():
    a, b = one_step([np.array([3.0, 4.0]), np.array([0.3, 0.4])], clipnorm=1.0)
    np.testing.assert_allclose(a, [0.6, 0.8], rtol=1e-14)
    np.testing.assert_array_equal(b, [0.3, 0.4])


def test_global_clipnorm_scales_all_by_one_factor():
    a, b = one_step([np.array([3.0, 0.0]), np.array([[4.0]])], global_clipnorm=1.0)  # norm 5
    np.testing.assert_allclose(a, [0.6, 0.0], rtol=1e-14)
    np.testing.assert_allclose(b, [[0.8]], rtol=1e-14)
    (a,) = one_step([np.array([3.0, 4.0])], global_clipnorm=6.0)
    np.testing.assert_array_equal(a, [3.0, 4.0])


def test_clipping_leaves_the_callers_gradients_and_float32_alone():
    g = np.array([3.0, 4.0], np.float32)
    for limit in ("clipnorm", "clipvalue", "global_clipnorm"):
        w = Variable(np.zeros(2, np.float32))
        optimizers.Adam(**{limit: 1.0}).apply([g], [w])
        np.testing.assert_array_equal(g, [3.0, 4.0])
        assert w.dtype == np.float32 and np.all(w.numpy() < 0)


def test_only_one_limit_can_be_set():
    with pytest.raises(ValueError, match="only one of clipnorm, clipvalue and global_clipnorm"):
        optimizers.SGD(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="clipnorm must be positive"):
        optimizers.SGD(clipnorm=0.0)


# state


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_training_goes_on_exactly_from_a_saved_state(case, dtype):
    make = CASES[case][0]
    gradients = [[np.asarray(g).astype(dtype) for g in step] for step in random_gradients()]
    optimizer, variables = make(), new_variables(dtype)
    for step in gradients[:10]:
        optimizer.apply(step, variables)
    state = optimizer.get_state()
    copies = [Variable(v.numpy()) for v in variables]
    for step in gradients[10:]:
        optimizer.apply(step, variables)
    resumed = make()
    resumed.build(copies)
    resumed.set_state(state)
    for step in gradients[10:]:
        resumed.apply(step, copies)
    for variable, copy in zip(variables, copies, strict=True):
        np.testing.assert_array_equal(copy.numpy(), variable.numpy())
    assert resumed.iterations == STEPS
    assert state["step"][0] == 10  # what get_state returned was a copy


@pytest.mark.parametrize("copied", [deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_keeps_the_state_of_its_copy_of_the_variables(copied):
    variable, optimizer = Variable([1.0, 2.0], dtype="float64"), optimizers.Adam(0.1)
    optimizer.apply([np.array([1.0, -3.0])], [variable])
    other, twin = copied((variable, optimizer))
    assert twin.variables_with_state[0] is other
    for v, o in ((variable, optimizer), (other, twin)):
        o.apply([np.array([-2.0, 1.0])], [v])
    assert other is not variable
    np.testing.assert_array_equal(other.numpy(), variable.numpy())


def test_states_that_do_not_fit_are_errors():
    optimizer = optimizers.Adam()
    state = optimizer.get_state()
    optimizer.build(new_variables())
    with pytest.raises(ValueError, match=r"missing \['0/m', '0/v'"):
        optimizer.set_state(state)
    with pytest.raises(ValueError, match=r"build\(variables\).*unexpected \['0/m'"):
        optimizers.Adam().set_state(optimizer.get_state())
    wrong = optimizer.get_state()
    wrong["1/m"] = wrong["1/m"][:-1]
    with pytest.raises(ValueError, match=r"state '1/m' must be float64 of shape \(5,\); got float64 of shape \(4,\)"):
        optimizer.set_state(wrong)
    wrong["1/m"] = np.zeros(5, np.float32)
    before = optimizer.get_state()
    with pytest.raises(ValueError, match="got float32"):
        optimizer.set_state({**wrong, "step": np.array([7.0])})
    assert optimizer.get_state()["step"] == before["step"]


# bad input


def test_gradients_that_do_not_fit_are_errors():
    variables = new_variables()
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match="as many gradients as variables.*1 and 3"):
        optimizer.apply([np.zeros((3, 4))], variables)
    with pytest.raises(ValueError, match=r"gradient of w0 must have the variable's shape \(3, 4\); got \(4,\)"):
        optimizer.apply([np.zeros(4)], variables[:1])
    with pytest.raises(ValueError, match=r"no gradient given for any variable: \['w0', 'w1', 'w2'\]; .* inside its `with` block"):
        optimizer.apply([None] * 3, variables)
    with pytest.raises(ValueError, match="no variables to train"):
        optimizer.apply([], [])
    assert optimizer.iterations == 0


def test_a_variable_without_gradient_stays_with_a_warning():
    variables = new_variables()
    before = [v.numpy() for v in variables]
    with pytest.warns(UserWarning, match=r"no gradient for the variables \['w1'\]"):
        optimizers.SGD().apply([np.ones((3, 4)), None, np.ones(())], variables)
    np.testing.assert_array_equal(variables[1].numpy(), before[1])
    np.testing.assert_allclose(variables[0].numpy(), before[0] - 0.01)


def test_gradients_of_another_dtype_or_order_are_converted_and_announced():
    w = Variable(np.zeros((2, 3), np.float32))
    with table.record() as recording:
        optimizers.SGD(1.0).apply([np.arange(6.0).reshape(3, 2).T], [w])
    np.testing.assert_array_equal(w.numpy(), -np.arange(6.0).reshape(3, 2).T)
    assert recording.python_steps


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.SGD(-1), "learning_rate"),
        (lambda: optimizers.SGD(float("nan")), "learning_rate"),
        (lambda: optimizers.SGD(momentum=1.5), r"momentum must be in \[0, 1\]"),
        (lambda: optimizers.SGD(momentum=float("nan")), "momentum must be a number; got nan"),
        (lambda: optimizers.SGD(nesterov=True), "nesterov"),
        (lambda: optimizers.SGD(clipvalue=float("nan")), "clipvalue must be a number; got nan"),
        (lambda: optimizers.RMSprop(rho=1), r"rho must be in \[0, 1\)"),
        (lambda: optimizers.Adam(beta_1=1.0), "beta_1"),
        (lambda: optimizers.Adam(beta_2=-0.1), "beta_2"),
        (lambda: optimizers.Adam(epsilon=-1e-7), "epsilon must be at least 0"),
        (lambda: optimizers.RMSprop(epsilon=float("nan")), "epsilon must be at least 0 .*; got nan"),
        (lambda: optimizers.Adagrad(epsilon=float("inf")), "epsilon must be .* less than inf; got inf"),
        (lambda: optimizers.AdamW(weight_decay=-1), "weight_decay"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "initial_accumulator_value"),
        (lambda: optimizers.get("adamax"), "'sgd', 'adagrad', 'rmsprop', 'adam', 'adamw'.*; got 'adamax'"),
    ],
)
def test_bad_arguments_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("optimizer", "argument"),
    [
        *((optimizers.SGD, name) for name in ("momentum", "clipnorm", "clipvalue", "global_clipnorm")),
        *((optimizers.Adagrad, name) for name in ("initial_accumulator_value", "epsilon")),
        *((optimizers.RMSprop, name) for name in ("rho", "epsilon")),
        *((optimizers.AdamW, name) for name in ("beta_1", "beta_2", "epsilon", "weight_decay")),
    ],
)
def test_strings_are_no_numbers(optimizer, argument):
    with pytest.raises(TypeError, match=f"^{argument} must be a number; got '0.5'"):
        optimizer(**{argument: "0.5"})


@pytest.mark.parametrize(
    "make", [lambda: optimizers.Adam(lr=0.1), lambda: optimizers.get({"class_name": "Adam", "config": {"lr": 0.1}})]
)
def test_an_argument_that_there_is_not_is_told_with_those_that_there_are(make):
    with pytest.raises(TypeError, match="^Adam has no argument 'lr'; its arguments are learning_rate, beta_1, .*, clipnorm, "):
        make()


def test_what_is_no_optimizer_and_no_rate_is_a_type_error():
    for thing in (3, None, optimizers.SGD):
        with pytest.raises(TypeError, match="optimizer must be"):
            optimizers.get(thing)
    for rate in ("0.1", None, [0.1, 0.2], lambda step: 0.1):
        with pytest.raises(TypeError, match="learning_rate must be a number or a LearningRateSchedule"):
            optimizers.SGD(rate)


# configurations


@pytest.mark.parametrize("limit", ["clipnorm", "clipvalue", "global_clipnorm"])
@pytest.mark.parametrize("case", CASES)
def test_configurations_make_the_same_optimizer_again(case, limit):
    optimizer = CASES[case][0]()
    config = {**optimizer.get_config(), limit: 2.5, "name": "mine"}
    again = optimizers.get({**optimizers.serialize(optimizer), "config": config})
    assert type(again) is type(optimizer) and again.get_config() == config
    assert (again.kernel, again.kernel_params()) == (optimizer.kernel, optimizer.kernel_params())
    assert (getattr(again, limit), again.learning_rate) == (2.5, optimizer.learning_rate)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_get_by_name(name):
    cls = optimizers.OPTIMIZERS[name]
    assert type(optimizers.get(name)) is type(optimizers.get(cls.__name__)) is cls
    assert type(optimizers.get({"class_name": cls.__name__})) is cls
    instance = cls()
    assert optimizers.get(instance) is instance


# learning rates


def test_the_learning_rate_can_be_read_and_set():
    optimizer = optimizers.SGD()
    assert optimizer.learning_rate == 0.01
    w = Variable(np.zeros(1))
    optimizer.learning_rate = 0.1
    optimizer.apply([np.ones(1)], [w])
    assert optimizer.learning_rate == 0.1 and w.numpy() == -0.1
    optimizer.learning_rate = schedules.InverseTimeDecay(1.0, 1, 1.0)
    assert optimizer.learning_rate == 0.5  # one step is done
    optimizer.learning_rate = np.float32(0.25)
    assert optimizer.learning_rate == 0.25 and optimizer.schedule is None


def test_a_schedule_is_evaluated_for_every_step():
    optimizer = optimizers.SGD(schedules.ExponentialDecay(1.0, 1, 0.5))
    np.testing.assert_array_equal(optimizer.next_learning_rates(4), [1, 0.5, 0.25, 0.125])
    w = Variable(np.zeros(1))
    for after in (-1, -1.5, -1.75):
        optimizer.apply([np.ones(1)], [w])
        assert w.numpy() == after
    assert optimizer.learning_rate == 0.125
    np.testing.assert_array_equal(optimizer.next_learning_rates(2), [0.125, 0.0625])
    again = optimizers.get(optimizers.serialize(optimizer))
    assert again.schedule.get_config() == optimizer.schedule.get_config() and again.learning_rate == 1.0
    np.testing.assert_array_equal(optimizers.SGD(0.1).next_learning_rates(2), [0.1, 0.1])


#: schedule -> {step: rate}
SCHEDULES = [
    (schedules.ExponentialDecay(0.1, 10, 0.5), {0: 0.1, 5: 0.1 / math.sqrt(2), 10: 0.05, 20: 0.025}),
    (schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True), {0: 0.1, 9: 0.1, 10: 0.05, 19: 0.05, 20: 0.025}),
    (schedules.InverseTimeDecay(0.1, 10, 0.5), {0: 0.1, 5: 0.08, 10: 0.1 / 1.5, 20: 0.05}),
    (schedules.InverseTimeDecay(0.1, 10, 0.5, staircase=True), {9: 0.1, 10: 0.1 / 1.5, 19: 0.1 / 1.5}),
    (schedules.PiecewiseConstantDecay([3, 5], [1.0, 0.5, 0.1]), {0: 1.0, 3: 1.0, 4: 0.5, 5: 0.5, 6: 0.1, 100: 0.1}),
    (schedules.PolynomialDecay(0.1, 10, 0.01), {0: 0.1, 5: 0.055, 10: 0.01, 11: 0.01}),
    (schedules.PolynomialDecay(0.1, 10, 0.0, power=2.0), {0: 0.1, 5: 0.025, 10: 0.0}),
    # the second decay starts at step 10 from halfway, and ends at step 20
    (schedules.PolynomialDecay(0.1, 10, 0.0, cycle=True), {0: 0.1, 5: 0.05, 10: 0.0, 11: 0.045, 15: 0.025, 20: 0.0}),
    (schedules.CosineDecay(0.1, 10), {0: 0.1, 5: 0.05, 10: 0.0, 15: 0.0}),
    (schedules.CosineDecay(0.1, 10, alpha=0.2), {0: 0.1, 5: 0.06, 10: 0.02, 99: 0.02}),
    (
        schedules.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=4),
        {0: 0.0, 1: 0.025, 4: 0.1, 9: 0.05, 14: 0.0, 20: 0.0},
    ),
]


@pytest.mark.parametrize(("schedule", "rates"), SCHEDULES)
def test_schedules_by_worked_numbers(schedule, rates):
    for step, rate in rates.items():
        assert schedule(step) == pytest.approx(rate, rel=1e-12, abs=1e-15), step
    again = schedules.deserialize(schedules.serialize(schedule))
    assert type(again) is type(schedule) and [again(step) for step in range(30)] == [schedule(step) for step in range(30)]


def test_bad_schedules_are_errors():
    with pytest.raises(ValueError, match="decay_steps must be positive; got 0"):
        schedules.CosineDecay(0.1, 0)
    with pytest.raises(ValueError, match="one element more.*got 2 values and 2 boundaries"):
        schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="boundaries must increase"):
        schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="class_name"):
        schedules.deserialize({"class_name": "Linear", "config": {}})
    with pytest.raises(ValueError, match="must have 'class_name' and 'config'; got {'class_name': 'CosineDecay'}"):
        schedules.deserialize({"class_name": "CosineDecay"})
    with pytest.raises(ValueError, match="configuration of a CosineDecay does not fit: .*'steps'"):
        schedules.deserialize({"class_name": "CosineDecay", "config": {"steps": 3}})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=-3), "warmup_steps must be at least 0"),
        (lambda: schedules.CosineDecay(0.1, 10, alpha=-0.1), "alpha must be at least 0"),
        (lambda: schedules.ExponentialDecay(0.1, 10, -0.5), "decay_rate must be at least 0"),  # whose roots are complex
        (lambda: schedules.InverseTimeDecay(float("nan"), 10, 0.5), "initial_learning_rate must be at least 0"),
        (lambda: schedules.InverseTimeDecay(0.1, float("inf"), 0.5), "decay_steps must be .*less than inf"),
        (lambda: schedules.PolynomialDecay(0.1, 10, power=-1), "power must be at least 0"),
        (lambda: schedules.PiecewiseConstantDecay([1], [0.1, -0.2]), r"values\[1\] must be at least 0"),
    ],
)
def test_schedules_of_numbers_that_give_no_rates(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_schedules_of_strings():
    with pytest.raises(TypeError, match="decay_steps must be a number; got '10'"):
        schedules.ExponentialDecay(0.1, "10", 0.5)


def test_schedules_are_where_keras_has_them():
    from fastnn.optimizers.schedules import ExponentialDecay

    assert ExponentialDecay is schedules.ExponentialDecay


def test_variables_and_gradients_in_the_wrong_order():
    w = Variable([1.0])
    with pytest.raises(TypeError, match=r"zip\(gradients, variables\); got \(Variable, ndarray\) among them"):
        optimizers.SGD(0.1).apply_gradients([(w, np.ones(1))])
