"""Turns what pydantic finds wrong with a team's values into our one message."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sentinel_etl.errors import ConfigurationError

__all__ = ["configuration_error"]


def configuration_error(
    subject: str, error: ValidationError, describe: Callable[[ErrorDetails], str], separator: str = "; "
) -> ConfigurationError:
    """Make one error of all problems, in the order in which they were found.

    ``describe`` says one problem with its path, such as ``REMARK.key: missing``; a problem that several
    values share is said once, and one that another explains, described as nothing, not at all.
    """
    problems = dict.fromkeys(describe(problem) for problem in error.errors(include_url=False))
    problems.pop("", None)
    return ConfigurationError(f"{subject}: {separator.join(problems)}")
