"""The locked dependencies in `requirements/` are complete, checked by hash and tied to no download place."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import ROOT, listed

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = {"requirements/run.txt": "build", "requirements/test.txt": "dev"}
"""The dependency group that each file holds besides the project and its extra `embedded`."""
ALL = {**GROUPS, "requirements/clients.txt": "clients"}
"""Clients of others have an environment of their own, without the project."""
_PLACE = re.compile(r"://| @ |^-|--(?!hash=)\w")
_PIN = re.compile(r"[\w.-]+==[\w.]+ .*?--hash=sha256:[0-9a-f]{64}", re.S)
RENEW = "Run `make lock`."


def pins(name: str) -> dict[str, list[Requirement]]:
    """Return the pinned requirements of a lock file by package."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in " #-":
            requirement = Requirement(line.rstrip("\\ "))
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def group(name: str) -> list[str]:
    """Return a dependency group with the groups it includes."""
    items = PROJECT["dependency-groups"][name]
    return [line for item in items for line in ([item] if isinstance(item, str) else group(item["include-group"]))]


@pytest.mark.parametrize("name", ALL)
def test_a_lock_names_no_place_to_download_from(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    places = [
        f"{name}: {line}" for line in lines if re.search(r"://|(^|\s)--(?!hash=)|(^|\s)(?<!#   )-[a-z]\b|@ ", line)
    ]
    assert not places, listed(places, f"Packages come from wherever the reader's pip looks; hashes check them. {RENEW}")


@pytest.mark.parametrize("name", ALL)
def test_every_direct_dependency_is_locked_within_its_bounds(name: str) -> None:
    project, locked = PROJECT["project"], pins(name)
    ours = [*project["dependencies"], *project["optional-dependencies"]["embedded"]] if name in GROUPS else []
    direct = [*ours, *group(ALL[name])]
    wrong = []
    for wanted in map(Requirement, direct):
        versions = [str(pin.specifier).removeprefix("==") for pin in locked.get(canonicalize_name(wanted.name), [])]
        if not versions or not all(version in wanted.specifier for version in versions):
            wrong.append(f"{name}: {wanted} is locked as {', '.join(versions) or 'nothing'}")
    assert not wrong, listed(wrong, RENEW)


@pytest.mark.parametrize("name", ALL)
def test_every_pin_is_exact_and_has_a_hash(name: str) -> None:
    blocks = re.split(r"\n(?=[\w])", (ROOT / name).read_text(encoding="utf-8"))[1:]
    wrong = [
        block.splitlines()[0]
        for block in blocks
        if not re.match(r"[\w.-]+==[\w.]+ .*?--hash=sha256:\w{64}", block, re.S)
    ]
    assert blocks, RENEW
    assert not wrong, listed(wrong, RENEW)


def test_tests_run_with_the_packages_that_run_the_service() -> None:
    run, test = pins("requirements/run.txt"), pins("requirements/test.txt")
    other = [f"{name}: {test.get(name)} instead of {pin}" for name, pin in run.items() if test.get(name) != pin]
    assert not other, listed(other, RENEW)


def test_the_build_backend_is_the_locked_one() -> None:
    assert set(PROJECT["build-system"]["requires"]) <= set(group("build")), (
        "`build-system.requires` and the group `build` in pyproject.toml name different build backends."
    )
