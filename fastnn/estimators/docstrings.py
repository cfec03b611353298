"""What the docstrings of several estimators have in common."""

ACTIVATION = """activation : str, callable, Layer or sequence of them, default "relu"
        Of the hidden layers, one for all or one for each: "identity", "logistic", any name that `fastnn.activations.get` knows
        ("tanh", "relu", "elu", "silu", ...), one of `fastnn.activation`, a function of a tensor made of `fastnn.ops`, or a layer
        such as ``fastnn.layers.PReLU()``, of which each hidden layer gets its own.
    batch_norm : bool, default False
        Whether the inputs of each activation are normalized over the batch.
    dropout : float in [0, 1), default 0
        Share of each hidden layer's outputs that a training step drops."""

SOLVER = """alpha : float, default 0.0001
        Strength of the penalty ``alpha / 2 * sum(w**2)``, which is divided by the number of samples of a batch.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        For sgd: how the learning rate goes on from `learning_rate_init`: as it is, divided by ``t_**power_t``, or divided by 5
        each time that `n_iter_no_change` epochs bring no progress.
    learning_rate_init, power_t : float, default 0.001 and 0.5
        See `learning_rate`.
    momentum, nesterovs_momentum : float and bool, default 0.9 and True
        For sgd.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999 and 1e-8
        For adam."""

TRAINING = """batch_size : int or "auto", default "auto"
        Samples per step; "auto" is at most 200.
    shuffle : bool, default True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState or None
        Decides the first weights, the validation set, the order of samples and dropout.
    tol, n_iter_no_change : float and int, default 1e-4 and 10
        Training ends when the loss, or with early stopping the validation score, has not become better by `tol` for more than
        `n_iter_no_change` epochs.
    verbose : bool, default False
        Whether each epoch prints its loss.
    warm_start : bool, default False
        Whether `fit` goes on from the weights of the last call.
    early_stopping, validation_fraction : bool and float, default False and 0.1
        Whether to stop by the score on a validation set and keep the best weights. The set is `X_val` of `fit`, or that share
        of the samples, set aside.
    callbacks : list of `fastnn.callbacks.Callback`, optional
        What is called before and after epochs and batches. Logs are "loss", and with a validation set "val_loss" and
        "val_accuracy" (of regressors, "val_r2")."""

CLASS_WEIGHT = """class_weight : dict, "balanced" or None
        Factor of each class's sample weights, see `sklearn.utils.compute_sample_weight`."""

REGRESSION_LOSS = """loss : {"squared_error", "poisson", "absolute_error", "huber"}, default "squared_error"
        What is minimized: half the squared error, half the Poisson deviance (targets at least 0, predictions are exponentials of
        the last layer's sums), the absolute error, or Huber's loss with delta 1. The loss is the mean over outputs (of the
        deviance, their sum), the gradient that of their sum."""

ATTRIBUTES = """model_ : Sequential
        The network; with loss="poisson", of the logarithms of its predictions.
    loss_, best_loss_, loss_curve_ : float, float or None, list of float
        The loss of the last epoch, the least one (None with early stopping), and that of each epoch, with its penalties.
    validation_loss_curve_, validation_scores_ : list of float, or None
        With a validation set: its loss, without penalties, and its score after each epoch.
    best_validation_score_ : float or None
        With early stopping: the best score.
    n_iter_, t_ : int
        Epochs of the last call, and samples seen in all.
    n_outputs_ : int
        Outputs of the network.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Of the inputs; the names only if they are all strings."""
