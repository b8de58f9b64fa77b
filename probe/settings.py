"""Settings: from the environment, then ``probe.toml`` of the current folder, then defaults.

Importing this module imports pydantic (0.2 s), so the command line imports it only where settings are read.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from probe.errors import RequestError

FILE = "probe.toml"
DATABASE = "solver-probe.sqlite3"


class SettingsError(RequestError):
    """A setting is wrong: the message names it and the way out, and shows no value, which may hold a password."""


def _default_home() -> Path:
    return Path(platformdirs.user_data_dir("solver-probe", appauthor=False))


def _default_database(data: dict[str, Any]) -> str:
    return f"sqlite:///{data['home'] / DATABASE}"


class Settings(BaseSettings):
    """Where things are. Each field is the variable ``PROBE_<FIELD>`` or the key of the same name in probe.toml.

    ``database_url`` is SQLAlchemy's (SQLite or PostgreSQL), ``broker_url`` Celery's; None: no broker. Both may hold a
    password, so neither is part of the repr. ``concurrency``: calls that a worker process has open at an endpoint.
    ``sweep_seconds``: between two looks of a worker for what nobody works on.
    """

    model_config = SettingsConfigDict(
        env_prefix="PROBE_", env_ignore_empty=True, toml_file=FILE, extra="forbid", frozen=True
    )

    home: Path = Field(default_factory=_default_home)
    database_url: str = Field(default_factory=_default_database, repr=False)
    broker_url: str | None = Field(default=None, repr=False)
    concurrency: int = Field(default=64, ge=1, le=10_000)
    sweep_seconds: float = Field(default=60.0, gt=0)

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, url: str) -> str:
        scheme, separator, rest = url.partition("://")
        return f"postgresql+psycopg{separator}{rest}" if scheme in {"postgres", "postgresql"} else url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def settings() -> Settings:
    """Read the settings. Raises SettingsError; creates nothing."""
    try:
        found = Settings()
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{FILE} is not valid TOML: {error}; correct it there") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{FILE} is not valid TOML: it is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{FILE} can't be read: {error.strerror}; correct it or move it away") from None
    except ValidationError as error:
        raise SettingsError(_said(error)) from None
    if "database_url" not in found.model_fields_set:
        _check_home(found.home)
    return found


def _said(error: ValidationError) -> str:
    """Return the first thing that is wrong, without the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"{FILE}: unknown key {key!r}; the keys are {', '.join(Settings.model_fields)}"
    return f"{key}: {first['msg']}; correct PROBE_{key.upper()} or {key!r} in {FILE}"


def _check_home(home: Path) -> None:
    """Refuse a home where the default database can't be made."""
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if not nearest.is_dir():
        problem = f"{nearest} is not a folder"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        problem = f"{nearest} is not writable"
    else:
        return
    raise SettingsError(
        f"home: {problem}, so no database can be made in {home}; set PROBE_HOME to a folder you can write to,"
        " or PROBE_DATABASE_URL to a database elsewhere"
    )
