"""Which setting an engine's URL came from, so that an error does not name one that nobody has set."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

__all__ = ["LOCAL", "SETTING_OPTION", "advice_for"]


# An engine carries the setting's name as an execution option of this name.
SETTING_OPTION: Final = "sentinel_setting"

# In the place of a setting's name: the URL is the local stack's own.
LOCAL: Final = ""


def advice_for(engine: Engine, usual: str) -> str:
    """Say what to look at where a database does not answer; ``usual``: the setting of an engine made elsewhere."""
    setting = engine.get_execution_options().get(SETTING_OPTION, usual)
    if setting == LOCAL:
        return "It is the local stack's: `sentinel-etl local status` tells whether it runs, `local up` starts it"
    return f"Check that it runs and that {setting} is right"
