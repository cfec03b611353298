"""Losses of each sample, and their gradients; the links softmax and sigmoid are fused in, so nothing overflows.

A sample's loss is the mean over its outputs, except for the cross-entropies over classes, which are sums over classes.
"""

from .op import SUM_TOLERANCE, Array, Op, floats, ints, reals

#: pointwise loss -> formula of one output, with p the prediction and t the target
POINTWISE = {
    "mse": "(p - t)**2",
    "mae": "|p - t|; derivative 0 where equal",
    "huber": "0.5 * d**2 where |d| <= delta, else delta * (|d| - 0.5 * delta), d = p - t",
    "hinge": "max(0, 1 - t * p), targets -1 and 1; derivative 0 at the corner",
    "perceptron": "max(0, -t * p), targets -1 and 1; derivative -t at p = 0 (a tie counts as an error)",
    "sigmoid_xent": "max(p, 0) - p * t + log(1 + exp(-|p|)), p a logit, t in [0, 1]",
    "half_poisson": "exp(p) - t + t * (log(t) - p), p the logarithm of the predicted mean, t >= 0; exp(p) for t = 0",
    "binary_xent": "-t * log(q) - (1 - t) * log(1 - q), q = p clipped to [1e-7, 1 - 1e-7]; derivative 0 where clipped",
}


def _pointwise(name: str, formula: str) -> tuple[Op, Op]:
    params = floats("delta") if name == "huber" else ()
    return (
        Op(
            f"{name}_forward",
            f"loss = the mean over a sample's outputs of {formula}",
            inputs=reals(("pred", "m c"), ("target", "m c")),
            params=params,
            outputs=reals(("loss", "m"), role="out"),
            tolerance=SUM_TOLERANCE,
        ),
        Op(
            f"{name}_backward",
            f"dpred = dloss * the derivative of {name}_forward by pred",
            inputs=reals(("dloss", "m"), ("pred", "m c"), ("target", "m c")),
            params=params,
            outputs=reals(("dpred", "m c"), role="out"),
        ),
    )


OPS = (
    *(op for name, formula in POINTWISE.items() for op in _pointwise(name, formula)),
    Op(
        "custom_loss_forward",
        "loss = the mean over a sample's outputs of f(t, p), f the user's function whose record is at `function`; slope = df/dp",
        inputs=reals(("pred", "m c"), ("target", "m c")),
        params=ints("function"),
        outputs=(Array("loss", "m", role="out"), Array("slope", "m c", role="out", optional=True)),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "custom_loss_backward",
        "dpred = dloss * slope / c",
        inputs=reals(("dloss", "m"), ("slope", "m c")),
        outputs=reals(("dpred", "m c"), role="out"),
    ),
    Op(
        "softmax_xent_forward",
        "loss = logsumexp(logits) - logits[label], probs = softmax(logits)",
        inputs=(*reals(("logits", "m c")), Array("label", "m", "int32", below="c")),
        outputs=reals(("loss", "m"), ("probs", "m c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "softmax_xent_backward",
        "dlogits = dloss * (probs - onehot(label))",
        inputs=(*reals(("dloss", "m"), ("probs", "m c")), Array("label", "m", "int32", below="c")),
        outputs=reals(("dlogits", "m c"), role="out"),
    ),
    Op(
        "softmax_xent_onehot_forward",
        "loss = sum(target * (logsumexp(logits) - logits)), probs = softmax(logits)",
        inputs=reals(("logits", "m c"), ("target", "m c")),
        outputs=reals(("loss", "m"), ("probs", "m c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "softmax_xent_onehot_backward",
        "dlogits = dloss * (probs * sum(target) - target)",
        inputs=reals(("dloss", "m"), ("probs", "m c"), ("target", "m c")),
        outputs=reals(("dlogits", "m c"), role="out"),
    ),
    Op(
        "xent_forward",
        "loss = -sum(target * log(q)), q = probs clipped to [1e-7, 1 - 1e-7]",
        inputs=reals(("probs", "m c"), ("target", "m c")),
        outputs=reals(("loss", "m"), role="out"),
        tolerance=SUM_TOLERANCE,
        source="Clipping as in Keras; probabilities are taken as given, not normalized again.",
    ),
    Op(
        "xent_backward",
        "dprobs = -dloss * target / probs, 0 where clipped",
        inputs=reals(("dloss", "m"), ("probs", "m c"), ("target", "m c")),
        outputs=reals(("dprobs", "m c"), role="out"),
    ),
    Op(
        "weighted_mean_forward",
        "mean = sum(loss * weight) / m; weight 1 where it is left out",
        inputs=(*reals(("loss", "m")), Array("weight", "m", optional=True)),
        outputs=reals(("mean", "1"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "weighted_mean_backward",
        "dloss = dmean * weight / m",
        inputs=(*reals(("dmean", "1")), Array("weight", "m", optional=True)),
        outputs=reals(("dloss", "m"), role="out"),
    ),
    Op(
        "penalty_forward",
        "penalty = l1 * sum(|w|) + l2 * sum(w**2)",
        inputs=reals(("w", "*")),
        params=floats("l1", "l2"),
        outputs=reals(("penalty", "1"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "penalty_backward",
        "dw = gradient + dpenalty * (l1 * sign(w) + 2 * l2 * w); gradient 0 where it is left out",
        inputs=(*reals(("dpenalty", "1"), ("w", "*")), Array("gradient", "*", optional=True)),
        params=floats("l1", "l2"),
        outputs=reals(("dw", "*"), role="out"),
    ),
)
