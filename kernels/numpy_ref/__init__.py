"""NumPy, plain and right: the reference that every other backend is judged by, and a backend itself where nothing is compiled.

One file per family of the spec, one function per op with the spec's name and arguments. What an op computes is said in the spec; here
stands how, in float64 whatever the dtype of the arrays.
"""
