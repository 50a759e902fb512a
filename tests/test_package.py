"""What a user installs: a wheel built from the sdist, which holds everything that the source tree holds."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"peersync": ROOT / "peersync", "peersync_api": ROOT / "api" / "peersync_api"}


def build(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sdist")
    build("--sdist", "--outdir", target, ROOT)
    (found,) = target.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (tree,) = unpacked.iterdir()
    target = tmp_path_factory.mktemp("wheel")
    build("--wheel", "--outdir", target, tree)
    (found,) = target.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def inside(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sources(package: str) -> set[str]:
    folder = PACKAGES[package]
    return {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_has_every_file_of_the_package(package: str, inside: set[str]) -> None:
    assert sources(package) - inside == set()


@pytest.mark.parametrize(
    "name",
    [
        "peersync/py.typed",
        "peersync_api/py.typed",
        "peersync/apps.py",
        "peersync/migrations/__init__.py",
        "peersync/migrations/0001_initial.py",
        "peersync/management/__init__.py",
        "peersync/management/commands/__init__.py",
        "peersync/management/commands/sync_data.py",
        "peersync/management/commands/sync_peer.py",
        "peersync/management/commands/sync_status.py",
        "peersync_api/urls.py",
    ],
)
def test_the_wheel_has(name: str, inside: set[str]) -> None:
    assert name in inside


def test_the_wheel_has_no_other_top_level_package(inside: set[str]) -> None:
    """Above all no `api`: it would shadow the user's own app of that name."""
    tops = {name.split("/")[0] for name in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_names_its_needs_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    needs = {line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("Requires-Dist:")}
    assert {"django>=5.2", "djangorestframework>=3.16", "requests>=2.31"} == {
        need.lower() for need in needs if "extra ==" not in need
    }
    assert "Requires-Python: >=3.11" in text
    assert "Provides-Extra: postgres" in text


def test_the_sdist_has_what_it_takes_to_test_and_to_try(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for name in ("Makefile", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "openapi.yaml"):
        assert name in names
    for folder in ("tests", "example", "docs", "benchmarks", "peersync", "api/peersync_api"):
        assert any(name.startswith(f"{folder}/") for name in names), folder
