"""Settings: where they come from, in which order, and what a user is told when one is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

import probe
from probe.errors import RequestError
from probe.settings import SettingsError, settings

ROOT = Path(probe.__file__).parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty current folder and no setting in the environment."""
    for name in ("PROBE_HOME", "PROBE_DATABASE_URL", "PROBE_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_are_a_file_in_the_users_data_folder_and_no_broker(folder):
    """With nothing set, results go to one SQLite file, and nothing is created by looking."""
    found = settings()
    assert found.home == folder / "data" / "solver-probe"
    assert found.database_url == f"sqlite:///{found.home}/solver-probe.sqlite3"
    assert found.broker_url is None
    assert list(folder.iterdir()) == []


def test_probe_toml_of_the_current_folder_overrides_the_defaults(folder):
    """All settings can stand in probe.toml; a relative home is relative to it."""
    (folder / "probe.toml").write_text('home = "here"\nbroker_url = "redis://localhost/1"\n')
    found = settings()
    assert found.home == folder / "here"
    assert found.database_url == f"sqlite:///{folder}/here/solver-probe.sqlite3"
    assert found.broker_url == "redis://localhost/1"


def test_the_environment_overrides_probe_toml(folder, monkeypatch):
    """A variable wins; an empty one counts as not set."""
    (folder / "probe.toml").write_text('database_url = "sqlite:///file"\nbroker_url = "redis://file/1"\n')
    monkeypatch.setenv("PROBE_DATABASE_URL", "sqlite:///environment")
    monkeypatch.setenv("PROBE_BROKER_URL", "")
    assert settings().database_url == "sqlite:///environment"
    assert settings().broker_url == "redis://file/1"


def test_home_may_start_with_a_tilde(folder, monkeypatch):
    """~ is the user's home folder."""
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PROBE_HOME", "~/probe")
    assert settings().home == folder / "probe"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_urls_get_the_installed_driver(monkeypatch, scheme):
    """The URL that a hosting service hands out works as it is."""
    monkeypatch.setenv("PROBE_DATABASE_URL", f"{scheme}://user:secret@host/db?sslmode=require")
    assert settings().database_url == "postgresql+psycopg://user:secret@host/db?sslmode=require"


def test_no_password_in_the_repr(monkeypatch):
    """Settings can be printed and logged."""
    monkeypatch.setenv("PROBE_DATABASE_URL", "postgresql://user:secret@host/db")
    monkeypatch.setenv("PROBE_BROKER_URL", "amqp://user:secret@host//")
    assert "secret" not in repr(settings()) + str(settings())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'databse_url = "sqlite:///x"', ["unknown key 'databse_url'", "database_url"]),
        (b"[database]\nurl = 'x'", ["unknown key 'database'"]),
        (b'home = "a"\nbroker_url = redis://x', ["not valid TOML", "line 2"]),
        (b'home = "a"\nhome = "b"\n', ["not valid TOML", "line 2"]),
        (b'home = "\xff"', ["UTF-8"]),
        (b"home = 3", ["home", "PROBE_HOME"]),
        (b"database_url = ['postgresql://u:secret@h/d']", ["database_url", "PROBE_DATABASE_URL"]),
        (b"broker_url = 5", ["broker_url", "PROBE_BROKER_URL"]),
    ],
)
def test_a_wrong_probe_toml_is_refused_by_name(folder, text, words):
    """The message names the file, the key or the line, and shows no value; it is the request that was wrong."""
    (folder / "probe.toml").write_bytes(text)
    with pytest.raises(SettingsError) as caught:
        settings()
    assert isinstance(caught.value, RequestError)
    for word in ["probe.toml", *words]:
        assert word in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("home", ["taken", "taken/below"])
def test_a_home_where_nothing_can_be_made_is_refused(folder, monkeypatch, home):
    """The message says what stands in the way and names both ways out."""
    (folder / "taken").write_text("a file")
    monkeypatch.setenv("PROBE_HOME", str(folder / home))
    with pytest.raises(SettingsError, match=r"taken is not a folder.*PROBE_HOME.*PROBE_DATABASE_URL"):
        settings()


def test_home_is_not_needed_for_a_database_elsewhere(folder, monkeypatch):
    """A worker with a database of its own runs without a writable home."""
    (folder / "taken").write_text("a file")
    monkeypatch.setenv("PROBE_HOME", str(folder / "taken"))
    monkeypatch.setenv("PROBE_DATABASE_URL", "sqlite:///elsewhere")
    assert settings().database_url == "sqlite:///elsewhere"


def test_the_command_line_starts_without_reading_settings():
    """Help and completion don't pay for pydantic, the database or charts."""
    code = "import sys, probe.cli; print({'pydantic', 'sqlalchemy', 'altair', 'scipy', 'ortools'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
