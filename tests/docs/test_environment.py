"""environment.yml, constraints.txt and pyproject.toml name the same packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# The name on conda-forge, where it is another.
CONDA_NAMES = {"brotli": "brotli-python", "h3": "h3-py", "matplotlib": "matplotlib-base", "tzdata": "python-tzdata"}


def declared(*more: str) -> dict[str, SpecifierSet]:
    """Read pyproject.toml: name → bounds, of the package, its tests and linters, and of ``more`` extras."""
    extras = PROJECT["optional-dependencies"]
    lines = [line for extra in ("test", "lint", *more) for line in extras[extra]]
    requirements = [Requirement(line) for line in [*PROJECT["dependencies"], *lines]]
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in requirements}


def environment_lines() -> list[str | dict[str, list[str]]]:
    lines: list[str | dict[str, list[str]]] = yaml.safe_load(
        (CHECKOUT / "environment.yml").read_text(encoding="utf-8")
    )["dependencies"]
    return lines


def environment() -> tuple[dict[str, str], dict[str, str]]:
    """Read environment.yml: name → bounds, from conda-forge and from pip."""
    lines = environment_lines()
    conda = dict(line.partition(" ")[::2] for line in lines if isinstance(line, str))
    (pip,) = (line["pip"] for line in lines if isinstance(line, dict))
    requirements = [Requirement(line) for line in pip if not line.startswith("--editable")]
    return conda, {requirement.name: str(requirement.specifier) for requirement in requirements}


def test_environment_yml_has_pyprojects_dependencies_with_the_same_bounds() -> None:
    conda, pip = environment()
    named = {CONDA_NAMES.get(name, name): bounds for name, bounds in declared().items()}
    assert {canonicalize_name(name): SpecifierSet(bounds) for name, bounds in {**conda, **pip}.items()} == {
        **named,
        "python": SpecifierSet(PROJECT["requires-python"]),
        "pip": SpecifierSet(),
    }


def test_environment_yml_names_each_package_once() -> None:
    lines = [line for line in environment_lines() if isinstance(line, str)]
    assert [line for line in lines if lines.count(line) > 1] == []


def test_environment_yml_takes_a_package_from_one_place_only() -> None:
    conda, pip = environment()
    assert not {canonicalize_name(name) for name in conda} & {canonicalize_name(name) for name in pip}


def constraints() -> list[str]:
    lines = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_constraints_are_names_and_exact_versions_only() -> None:
    assert [line for line in constraints() if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


@pytest.mark.parametrize(("name", "bounds"), declared("bench", "power").items(), ids=list(declared("bench", "power")))
def test_constraints_hold_a_version_that_pyproject_allows(name: str, bounds: SpecifierSet) -> None:
    versions = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in constraints()}
    assert bounds.contains(versions[name])
