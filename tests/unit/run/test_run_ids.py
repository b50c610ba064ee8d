"""A run's id stands in the names of tables and files, so it is letters, digits and `_`."""

from __future__ import annotations

import pytest

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.run.run_ids import check_run_id, new_run_id

WRONG = ("../../x", "a/b", "a\\b", ".hidden", "a b", "a-b", "a'b", "a`b", "a\n", "ü", "١", "a%", "x" * 65, " ")


@pytest.mark.parametrize("run_id", ["a", "The_failed_one", "20261122t003000_abc123", "x" * 64])
def test_an_id_of_letters_digits_and_underscores_passes(run_id: str) -> None:
    assert check_run_id(run_id) == run_id


@pytest.mark.parametrize("run_id", WRONG)
def test_any_other_is_refused(run_id: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^run_id: expected up to 64 letters, digits and _, found"):
        check_run_id(run_id)


def test_a_new_id_passes() -> None:
    assert check_run_id(new_run_id())
