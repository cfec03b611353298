"""What tests of all folders share."""

import pytest

from fastnn import activations, losses, optimizers


@pytest.fixture
def own_names(monkeypatch):
    """Names of the user's own functions that a test registers are forgotten after it: other tests have functions of these names."""
    for registry in (activations.REGISTRY, losses.REGISTRY, optimizers.REGISTRY):
        monkeypatch.setattr(registry, "own", dict(registry.own))
