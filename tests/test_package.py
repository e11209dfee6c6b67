"""What `import textdet` offers, and what pyproject.toml says of the package."""

import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

import textdet

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_offers_what_it_lists():
    assert all(getattr(textdet, name) is not None for name in textdet.__all__)
    assert set(textdet.__all__) <= set(dir(textdet))
    with pytest.raises(AttributeError, match="no attribute 'TextDetecter'"):
        _ = textdet.TextDetecter


def declared(*extras: str) -> dict[str, Requirement]:
    """Requirements of the package and of some of its extras, by name."""
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {Requirement(line).name: Requirement(line) for line in lines}


def test_pins_are_what_the_package_asks_for():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]
    wanted = declared(*PROJECT["optional-dependencies"])
    assert {pin.name for pin in pins} == set(wanted)
    for pin in pins:
        (version,) = pin.specifier
        assert version.operator == "==" and version.version in wanted[pin.name].specifier
