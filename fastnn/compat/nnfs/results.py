"""What layers, activations and losses have only after a pass."""

from __future__ import annotations

_SET_BY = {
    "forward": ("inputs", "output", "binary_mask"),
    "backward": ("dinputs", "dweights", "dbiases"),
}


class Results:
    """Attributes that `forward` or `backward` sets; before, an error says which of the two has to be called."""

    def __getattr__(self, name: str):
        for method, names in _SET_BY.items():
            if name in names:
                raise AttributeError(f"{type(self).__name__} has no {name} yet: call its {method} first")
        return object.__getattribute__(self, name)  # raises Python's own error
