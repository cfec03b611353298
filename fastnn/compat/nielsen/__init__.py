"""Michael Nielsen's Neural Networks and Deep Learning: its modules `network`, `network2` and `mnist_loader`.

The programs of the book as their ports to Python 3 have them, with a mini-batch sent through the network in one piece instead of
sample by sample. Weights start, and the data are shuffled, with the same random numbers, so that the results are those of the
per-sample program up to rounding.
"""
