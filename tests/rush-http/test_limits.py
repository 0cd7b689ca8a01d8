import dataclasses

import pytest

from rush_http import Limits

NAMES = [field.name for field in dataclasses.fields(Limits)]


@pytest.mark.parametrize("value", [0, -1, float("nan")])
@pytest.mark.parametrize("name", NAMES)
def test_must_be_above_zero(name, value):
    with pytest.raises(ValueError, match=f"Limits.{name}"):
        Limits(**{name: value})


def test_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().body_bytes = 5
    with pytest.raises(TypeError):
        Limits(5)


def test_defaults_are_on():
    off = [name for name in NAMES if getattr(Limits(), name) is None]
    assert off == ["requests"]
