"""The house: rooms, their names, what is in the wheel, and what nobody else may claim."""

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "activities",
    "client",
    "domain",
    "gateway",
    "moorline",
    "providers",
    "storage",
    "workflows",
}
OURS = ["moorline"]
NOT_NAMES = {"utils", "helpers", "common", "core", "services", "models"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_no_other_distribution_claims_one_of_our_rooms() -> None:
    claimed = packages_distributions()
    others = {room: claimed[room] for room in ROOMS if claimed.get(room, OURS) != OURS}
    assert others == {}


def test_no_room_is_named_like_a_module_of_python_or_of_a_dependency() -> None:
    assert not ROOMS & set(sys.stdlib_module_names)
    others = {name for name, owners in packages_distributions().items() if owners != OURS}
    assert not ROOMS & others


def test_every_room_and_file_has_a_name_of_its_own() -> None:
    names = {path.stem for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert not names & NOT_NAMES


def test_every_module_says_why_it_exists() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if not path.read_text().lstrip().startswith('"""')
    ]
    assert silent == []


def test_the_wheel_holds_the_rooms_with_their_data_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == ROOMS
    assert "providers/entries/sandbox.yaml" in names
    assert "providers/sandbox/templates/login.html" in names
    assert any(name.startswith("storage/migrations/versions/0001") for name in names)


def test_the_wheel_runs_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    program = (
        "import domain, moorline.cli, pathlib, providers.catalogue, storage.schema;"
        "assert 'fresh' in domain.__file__, domain.__file__;"
        "print(providers.catalogue.Catalogue.read().slugs(), storage.schema.newest_revision())"
    )
    # Dependencies come from the locked environment; our rooms are only in the fresh one.
    environment = {"PYTHONPATH": sysconfig.get_path("purelib"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(
        [python, "-P", "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "sandbox" in run.stdout


def test_tests_are_no_package_and_no_folder_of_theirs_is_named_like_a_room() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert not folders & ROOMS
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_lock_names_versions_and_hashes_and_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = re.findall(r"^[a-z0-9-]+(?:\[[a-z,]+\])?==\S+.*\\$", lock, re.MULTILINE)
    assert len(pinned) > 60
    assert lock.count("--hash=sha256:") >= len(pinned)
