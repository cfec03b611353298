"""Functions of the user's own, compiled by Numba into C functions over arrays that every backend's kernels can call.

    record.py        what a kernel gets: the addresses of the compiled functions
    source.py        what a function may consist of, and the messages about what it may not
    number.py        the type of number that it is compiled for, and what operators do to value and slope
    elementary.py    what the functions of `math` do to them
    coefficients.py  the polynomials that these are made of
    scalar.py        from a function on such numbers to one on plain numbers, for any compiler
    compile.py       from a function to its record

Without Numba there is only `record`; the rest is imported when a function is compiled.
"""
