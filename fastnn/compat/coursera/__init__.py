"""Andrew Ng's Deep Learning Specialization on Coursera: the functions of its notebooks in NumPy, under their names.

A module for each notebook: `dnn` and `dnn_app` (deep networks), `planar` (one hidden layer), `initialization`, `regularization`,
`gradient_checking`, `optimization`, `convolution`. Each also has what the notebook's helper module holds, whose place it can take.
Some names mean different functions in different notebooks; here they are those of `convolution`, `dnn`, `planar`
(`forward_propagation`, `backward_propagation`), `optimization` and `gradient_checking`.
"""

from .convolution import (
    conv_backward,
    conv_forward,
    conv_single_step,
    create_mask_from_window,
    distribute_value,
    pool_backward,
    pool_forward,
    zero_pad,
)
from .dnn import (
    L_model_backward,
    L_model_forward,
    compute_cost,
    initialize_parameters,
    initialize_parameters_deep,
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    update_parameters,
)
from .dnn_app import predict
from .gradient_checking import (
    backward_propagation_n,
    dictionary_to_vector,
    forward_propagation_n,
    gradient_check_n,
    gradients_to_vector,
    vector_to_dictionary,
)
from .initialization import initialize_parameters_he, initialize_parameters_random, initialize_parameters_zeros
from .optimization import (
    initialize_adam,
    initialize_velocity,
    random_mini_batches,
    update_parameters_with_adam,
    update_parameters_with_gd,
    update_parameters_with_momentum,
)
from .planar import backward_propagation, forward_propagation
from .regularization import (
    backward_propagation_with_dropout,
    backward_propagation_with_regularization,
    compute_cost_with_regularization,
    forward_propagation_with_dropout,
)

__all__ = [
    "L_model_backward",
    "L_model_forward",
    "backward_propagation",
    "backward_propagation_n",
    "backward_propagation_with_dropout",
    "backward_propagation_with_regularization",
    "compute_cost",
    "compute_cost_with_regularization",
    "conv_backward",
    "conv_forward",
    "conv_single_step",
    "create_mask_from_window",
    "dictionary_to_vector",
    "distribute_value",
    "forward_propagation",
    "forward_propagation_n",
    "forward_propagation_with_dropout",
    "gradient_check_n",
    "gradients_to_vector",
    "initialize_adam",
    "initialize_parameters",
    "initialize_parameters_deep",
    "initialize_parameters_he",
    "initialize_parameters_random",
    "initialize_parameters_zeros",
    "initialize_velocity",
    "linear_activation_backward",
    "linear_activation_forward",
    "linear_backward",
    "linear_forward",
    "pool_backward",
    "pool_forward",
    "predict",
    "random_mini_batches",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "update_parameters",
    "update_parameters_with_adam",
    "update_parameters_with_gd",
    "update_parameters_with_momentum",
    "vector_to_dictionary",
    "zero_pad",
]
