"""Functions of one's own in pickles, which take them along: a worker process, such as one of joblib's, has not defined them."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable
from typing import Any

from .compiler import compiler

#: what was made in this process, or came to it in a pickle
_made: dict[str, Any] = {}


def note_origin(made: Any, make: Callable[..., Any], *arguments: Any) -> None:
    """Note that ``make(*arguments)`` makes an object, or a class, like this one."""
    _keep(uuid.uuid4().hex, made, make, arguments)


def _keep(identity: str, made: Any, make: Callable[..., Any], arguments: tuple) -> None:
    made.origin = identity, make, arguments
    _made[identity] = made


def packed(made: Any) -> tuple[str, bytes]:
    """Return what `unpacked` takes."""
    from numba import cloudpickle  # it is there: it has compiled the function

    identity, *origin = made.origin
    return identity, cloudpickle.dumps(origin)


def unpacked(identity: str, origin: bytes) -> Any:
    """Return the object itself where it is known, else one made anew, which is known from now on."""
    if identity not in _made:
        compiler()  # it says what to install, where Numba is not
        make, arguments = pickle.loads(origin)
        _keep(identity, make(*arguments), make, arguments)
    return _made[identity]
