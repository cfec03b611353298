"""Work done by threads before its results are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from ..kernels.threads import get_num_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in their order, computed by threads.

    Parameters
    ----------
    function : callable
        Called in as many threads as kernels may use; its exceptions are raised where the result would have come.
    items : iterable
        What it is called with.
    ahead : int
        Most results that exist before they are asked for, so memory does not grow with the number of items.

    Notes
    -----
    When the generator ends, is closed or is forgotten, calls that have not begun are given up, and the threads end after those
    that have.
    """
    executor = ThreadPoolExecutor(get_num_threads(), thread_name_prefix="fastnn-ahead")
    try:
        rest = iter(items)
        waiting = deque(executor.submit(function, item) for item in islice(rest, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(executor.submit(function, item) for item in islice(rest, 1))
            yield result
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
