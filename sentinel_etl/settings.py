"""Settings: ``SENTINEL_*`` environment variables, then ``.env`` in the home folder, then defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from sentinel_etl.brief import BRIEF, Brief, read_brief
from sentinel_etl.env_file import HOME, PREFIX, describe_unknown, project_home, read_env_file
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.window import Window, parse_instant

__all__ = [
    "SECRETS",
    "PiiPolicy",
    "Settings",
    "brief_of",
    "choose_window",
    "hand_down",
    "load_settings",
    "window_so_far",
]


ENCODING = "utf-8-sig"  # of .env: UTF-8, with a byte order mark or without

# Names that begin like ours and are read elsewhere: a crontab's, the local endpoint's, the tests', the benchmarks'.
OTHER_NAMES = frozenset(
    f"{PREFIX}{name}"
    for name in ("ETL", "LOCAL_PASSWORD", "TEST_SOURCE_URL", "TEST_WAREHOUSE_URL", "TEST_RUN", "BENCH_SOURCE")
) | {BRIEF}

PiiPolicy = Literal["keep", "hash", "drop"]


class PlainDotEnv(DotEnvSettingsSource):
    """Reads ``.env`` as `read_env_file` does; what is empty is unset."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        read = read_env_file(file_path, self.env_file_encoding, setting_names())
        return {name.lower(): value for name, value in read.items() if value}


class Settings(BaseSettings):
    """Every setting, its default and its help: docs/reference.md is made from this class."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, frozen=True)

    source_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the PostgreSQL source; the local stack where no URL is set"
    )
    source_replica_url: SecretStr | None = Field(
        None, description="read replica that rows are read from; locks stay on the source; empty: the source"
    )
    warehouse_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the ClickHouse warehouse; the local stack where no URL is set"
    )
    timezone: str = Field("Asia/Kolkata", description="IANA zone of the city; nights and windows are reckoned in it")
    now: AwareDatetime | None = Field(
        None, description="freezes the clock that picks the latest window, for tests and samples"
    )
    pipeline: str = Field(
        "sentinel_etl.pipeline:SENTINEL",
        description="module:attribute of the Pipeline to run; another team's database is another",
    )
    risk_weights: Path | None = Field(
        None, description="YAML file that replaces RISK_WEIGHTS; empty: the built-in weights"
    )
    pii: PiiPolicy = Field(
        "keep", description="personal data in the warehouse: keep as it is, hash (keyed, so it still joins), or drop"
    )
    pii_key: SecretStr | None = Field(None, description="secret of SENTINEL_PII=hash, at least 16 bytes; never stored")
    warehouse_cluster: str = Field(
        "", description="cluster of the warehouse: tables are made ON CLUSTER, replicated, and Distributed"
    )
    partition_by: Literal["month", "week", "day"] = Field(
        "month", description="partition of the fact table, by shift_date; read when it is created"
    )
    loader: Literal["auto", "arrow", "to_sql"] = Field(
        "auto", description="how rows are loaded; auto: Arrow over HTTP, to_sql over native"
    )
    batch_rows: Annotated[int, Field(ge=1_000)] = Field(
        64_000, description="rows transformed and loaded at a time: what bounds memory"
    )
    max_shrink: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="share of a loaded night's rows that a re-run may lose without --allow-shrink"
    )
    keep_versions: Annotated[int, Field(ge=0)] = Field(
        3, description="states of the fact table before a switch that are kept, as hard links, to go back to; 0: none"
    )
    keep_extract: bool = Field(
        False,
        description="whether each run keeps what it read, as Arrow files under runs/extracts, so that `replay` can "
        "tell a change of the source from one of the code; personal data as SENTINEL_PII says",
    )
    lookback_nights: Annotated[int, Field(ge=0)] = Field(
        7, description="nights before the window whose rows are counted again for late ones; 0: none"
    )
    lock_wait_seconds: Annotated[float, Field(ge=0)] = Field(
        30, description="seconds to wait for another run of the same partitions before giving up"
    )
    connect_timeout_seconds: Annotated[int, Field(ge=1)] = Field(
        10, description="seconds to wait for a database to accept a connection"
    )
    source_max_rows_per_second: Annotated[int, Field(ge=0)] = Field(
        0, description="throttle of the extraction, rows a second; 0: as fast as it goes"
    )
    statement_timeout_seconds: Annotated[int, Field(ge=1)] = Field(
        900,
        description="seconds after which the source cancels one of our statements, and for which an answer "
        "of either database is waited for",
    )
    retry_seconds: Annotated[float, Field(ge=0)] = Field(
        15, description="seconds over which a database that does not answer is asked again; 0: once"
    )
    worker_wait_seconds: Annotated[float, Field(gt=0)] = Field(
        60, description="seconds for which a Dask cluster may have no worker, or its scheduler not answer"
    )
    deadline: time | None = Field(
        time(6, 30), description="local time by which the latest night is to be in, or a warning says so; none: no such"
    )
    cell_timeout_seconds: Annotated[int, Field(ge=1)] = Field(
        3_600, description="seconds after which a notebook's cell is stopped"
    )
    notify_url: SecretStr | None = Field(
        None,
        description="where each run's verdict is sent: webhooks, which get JSON, and whatever else Apprise has a URL "
        "for (Slack, Teams, mail, Matrix, ntfy, …); several with spaces between; empty: nowhere",
    )
    notify_on: Literal["all", "problems"] = Field(
        "all", description="which verdicts are sent: of all runs, or of those that failed or have a warning"
    )
    reports_url: str = Field(
        "", description="address that serves the runs folder, for links in messages; empty: the page's file"
    )
    openlineage_url: SecretStr | None = Field(
        None,
        description="collector of lineage that each run is told to by OpenLineage's events, http or https; empty: the "
        "one that OPENLINEAGE_URL and its kind name, or nobody",
    )
    openlineage_api_key: SecretStr | None = Field(None, description="key that the collector of lineage asks for")
    openlineage_seconds: Annotated[float, Field(gt=0)] = Field(
        5, description="seconds for which a run waits for the collector of lineage at its end"
    )
    runs_dir: Path = Field(
        Path("runs"), description="where executed notebooks are archived; relative to the home folder"
    )
    notebooks_dir: Path = Field(
        Path("notebooks"),
        description="where your notebooks are, relative to the home folder; the package has those that are not there",
    )
    state_dir: Path = Field(
        Path(".sentinel"), description="where the local stack keeps its state; relative to the home folder"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = dotenv_settings.env_file if isinstance(dotenv_settings, DotEnvSettingsSource) else None
        return init_settings, env_settings, PlainDotEnv(settings_cls, env_file=file, env_file_encoding=ENCODING)

    @field_validator("source_url", "source_replica_url", "warehouse_url")
    @classmethod
    def password_is_as_written(cls, value: SecretStr | None) -> SecretStr | None:
        return SecretStr(quote_at_signs(value.get_secret_value())) if value is not None else None

    @field_validator("openlineage_url")
    @classmethod
    def collector_is_a_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"https?://[^/\s]", value.get_secret_value(), re.IGNORECASE):
            raise ValueError("expected a URL such as https://lineage.example.org, http or https; found another text")
        return value

    @field_validator("timezone")
    @classmethod
    def timezone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"expected an IANA zone such as Asia/Kolkata, found {value!r}") from None
        return value

    @field_validator("deadline", mode="before")
    @classmethod
    def deadline_may_be_none(cls, value: object) -> object:
        if isinstance(value, str) and value.strip().lower() == "none":
            return None
        return value

    @field_validator("deadline")
    @classmethod
    def deadline_has_no_zone(cls, value: time | None) -> time | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("expected a time on the city's clocks such as 06:30, found one with an offset")
        return value

    @field_validator("runs_dir", "notebooks_dir", "state_dir", "risk_weights")
    @classmethod
    def path_is_absolute(cls, value: Path | None) -> Path | None:
        return project_home() / value.expanduser() if value is not None else None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


# Each machine's own: never handed to another process with the rest.
SECRETS = frozenset(name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None)


def setting_names() -> list[str]:
    """List the names of all settings, as variables have them."""
    return [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def quote_at_signs(url: str) -> str:
    """Write each ``@`` of a URL's password as ``%40``: SQLAlchemy would end the password at the first one.

    The last ``@`` before the path ends it, as in https://url.spec.whatwg.org/#authority-state.
    """
    parts = re.match(r"([\w+]+://[^:/]*:)([^@]*@[^/?]*)(@.*)", url, flags=re.DOTALL)
    return f"{parts[1]}{parts[2].replace('@', '%40')}{parts[3]}" if parts else url


def check_names(file: Path) -> None:
    """Refuse names of ours that are no settings: what is misspelt would be ignored, and a default taken instead."""
    known = [*setting_names(), HOME]
    unknown = describe_unknown(os.environ, known, OTHER_NAMES)
    if file.is_file():
        names = read_env_file(file, ENCODING, setting_names())
        unknown += [f"{text} It stands in {file}" for text in describe_unknown(names, known, OTHER_NAMES)]
        home = {name.upper(): value for name, value in names.items()}.get(HOME)
        if home and Path(home).expanduser().resolve() != file.parent:
            unknown.append(f"{HOME} in {file}; it names the folder of .env, so only a variable can")
    if unknown:
        raise ConfigurationError(f"settings: expected only names that are settings, found {'; '.join(unknown)}")


def hand_down(settings: Settings) -> dict[str, Any]:
    """Write every setting but the secrets, defaults included, as JSON has them: for another process of the same run."""
    return settings.model_dump(mode="json", exclude=set(SECRETS))


def brief_of(settings: Settings, verdict: Path, backfill: str = "") -> Brief:
    """Write what a run's kernel is told, so that it has these settings to the last, whatever its environment says."""
    secrets = {name: getattr(settings, name) for name in SECRETS}
    unset = {name: None for name, value in secrets.items() if value is None}
    variables = {f"{PREFIX}{name.upper()}": secret.get_secret_value() for name, secret in secrets.items() if secret}
    given = tuple(settings.model_fields_set - SECRETS)
    return Brief({**hand_down(settings), **unset}, given, str(verdict), backfill, variables)


def load_settings(
    *, for_new_home: bool = False, told: Mapping[str, Any] | None = None, given: Collection[str] = ()
) -> Settings:
    """Read the settings afresh; ``for_new_home``: the home is yet to be made.

    What another process has handed down (`hand_down`) counts before the environment and ``.env``: ``told``, of which
    the names in ``given`` are no defaults; or else what this process's `Brief` says.

    Raises:
        ConfigurationError: a value that cannot be used, by the variable's name, or a name that is no setting's.
    """
    try:
        if not for_new_home and not project_home().is_dir():
            raise ConfigurationError(
                f"settings: {HOME}: expected a folder, found none at {project_home()}. Make it, or name another one"
            )
        check_names(project_home() / ".env")
        if told is None:
            brief = read_brief()
            told, given = brief.settings, brief.given
        settings = Settings(_env_file=project_home() / ".env", _env_file_encoding=ENCODING, **told)
        own = settings.model_fields_set - told.keys()
        return Settings.model_construct(_fields_set=own | {*given}, **dict(settings))
    except ValidationError as error:
        problems = "; ".join(
            f"SENTINEL_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False)
        )
        raise ConfigurationError(f"settings: {problems}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"settings: expected .env in {project_home()} to be UTF-8, found {error}") from None
    except OSError as error:
        raise ConfigurationError(f"settings: expected to read .env in {project_home()}, found: {error}") from None


def window_so_far(settings: Settings) -> Window:
    """Make the window of the night that is under way: from the last 06:00 on the city's clocks to this minute.

    Raises:
        WindowError: the night has just begun.
    """
    now = (settings.now or datetime.now(UTC)).replace(second=0, microsecond=0)
    return Window(Window.latest(now, settings.zone).end, now)


def choose_window(window_end: str = "", window_hours: float = 24, settings: Settings | None = None) -> Window:
    """Make the window of a run's parameters: ``window_hours`` up to ``window_end``.

    An empty ``window_end`` is the last 06:00 on the city's clocks, whenever the run starts: at 06:00,
    at the wrong hour, or a day late.

    Raises:
        WindowError: an end that is no instant with a time zone, or hours that are not above 0.
    """
    settings = settings or load_settings()
    now = settings.now or datetime.now(UTC)
    end = parse_instant(window_end) if window_end else Window.latest(now, settings.zone).end
    return Window.ending(end, window_hours, settings.zone)
