"""Stanford CS231n, assignment 2: `fast_layers`, `im2col`, `im2col_cython`, `layers`, `layer_utils` and `optim`."""
