"""The home: the folder whose settings, notebooks and local stack a process uses."""

from __future__ import annotations

from sentinel_etl.env_file import home_is_named, project_home
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.settings import Settings

__all__ = ["check_home"]


def check_home(settings: Settings) -> None:
    """Refuse the local stack in a folder where nobody has asked for one.

    Raises:
        ConfigurationError: no URL is set, no home is named, and the working directory has no local stack.
    """
    named = settings.model_fields_set & {"source_url", "source_replica_url", "warehouse_url", "state_dir"}
    if named or home_is_named():
        return
    from sentinel_etl.local.stack import stack_exists

    if not stack_exists(settings.state_dir):
        raise ConfigurationError(
            f"expected a project's folder, found {project_home()}: it has no .env with SENTINEL_ settings, and the "
            "package stands in no checkout. Start the command in the project's folder, or name that in SENTINEL_HOME. "
            "`sentinel-etl init` makes a project for your own databases; `sentinel-etl demo` makes a sample here"
        )
