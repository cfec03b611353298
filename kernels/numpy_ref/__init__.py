"""NumPy, plain and right: the reference that every other backend is judged by, and a backend itself where nothing is compiled.

One file per family of the spec, one function per op with the spec's name and arguments. The spec says what an op computes; here
stands how, in float64 whatever the dtype of the arrays.
"""
