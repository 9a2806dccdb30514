"""Which part of the program may import which: the contracts of `pyproject.toml`, and the doors of the slices."""

import tomllib

import grimp
import pytest
from importlinter import cli as import_linter

from tests.architecture.sources import ROOT, listed

WIRING = {"main", "till", "gate", "notices", "worker", "cli", "__main__"}
"""The top: it also connects routes and jobs."""
NO_SLICE = {*WIRING, "settings", "client", "base"}
"""`client` is for programs elsewhere and knows nothing of ours."""

SIDE_DOORS = {
    "catalogue.reference": "the lists that come with the program, loaded by commands",
    "payments.methods": "how gateways, chain and sources are reached, opened as the settings say",
    "providers.simulator": "a program of its own that stands in for a provider",
}
"""What the top may import besides `service`, `model`, `routes` and `jobs`, and why."""


@pytest.fixture(scope="module")
def imports() -> set[tuple[str, str]]:
    """Every (importer, imported) of the package, without its name in front."""
    graph = grimp.build_graph("numberdesk", cache_dir=None)
    return {
        (importer.removeprefix("numberdesk."), imported.removeprefix("numberdesk."))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported != "numberdesk"
    }


def test_the_contracts_hold(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    status = import_linter.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert status == import_linter.EXIT_STATUS_SUCCESS, (
        f"An arrow points the wrong way (docs/architecture.md):\n{capsys.readouterr().out}"
    )


def test_every_part_of_the_package_is_under_the_contracts() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts = {contract["name"].partition(":")[0]: contract for contract in linter["contracts"]}
    folder = ROOT / "src" / "numberdesk"
    parts = {path.stem for path in folder.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))} - {"__init__"}
    inside = contracts["Inside a slice"]["containers"]
    driverless = contracts["The database driver stays in base"]["source_modules"]
    missing = [f"{part}: not in 'Inside a slice'" for part in parts - NO_SLICE if f"numberdesk.{part}" not in inside]
    missing += [
        f"{part}: not in 'The database driver stays in base'"
        for part in parts - {"base", "__main__"}
        if f"numberdesk.{part}" not in driverless
    ]
    assert not missing, listed(missing, "Name the part in the contracts of pyproject.toml.")


def test_a_slice_is_entered_by_its_service_and_its_model(imports: set[tuple[str, str]]) -> None:
    wrong = [f"{importer} imports {imported}" for importer, imported in imports if not is_by_a_door(importer, imported)]
    assert not wrong, listed(
        wrong,
        "Another slice is entered by its `service` and `model` only; the top may also import its `routes` and `jobs`. "
        "Move what is needed behind the service, or name a side door with its reason in SIDE_DOORS.",
    )


def test_every_side_door_is_used(imports: set[tuple[str, str]]) -> None:
    used = {imported for importer, imported in imports if importer.split(".")[0] in WIRING}
    assert {door for door in SIDE_DOORS if not any(f"{module}.".startswith(f"{door}.") for module in used)} == set()


def is_by_a_door(importer: str, imported: str) -> bool:
    """Tell whether one slice, or the top, enters another where it may."""
    origin, target = importer.split(".")[0], imported.split(".")[0]
    if target in NO_SLICE or origin == target:
        return True
    door = imported.split(".")[1] if "." in imported else ""
    if origin in WIRING:
        return door in {"service", "model", "routes", "jobs"} or any(
            f"{imported}.".startswith(f"{side_door}.") for side_door in SIDE_DOORS
        )
    return door in {"service", "model"}


@pytest.mark.parametrize(
    ("importer", "imported", "is_right"),
    [
        ("orders.jobs", "wallet.sql", False),
        ("orders.service._buy", "wallet", False),
        ("orders.service", "wallet.routes", False),
        ("main", "wallet.sql", False),
        ("accounts.service", "catalogue.reference", False),
        ("orders.service._buy", "wallet.service", True),
        ("orders.model", "wallet.model", True),
        ("main", "orders.routes", True),
        ("cli._demo", "providers.simulator.server", True),
        ("orders.service", "base.db", True),
        ("orders.service", "orders.sql", True),
    ],
)
def test_the_rule_about_doors_bites(importer: str, imported: str, is_right: bool) -> None:
    assert is_by_a_door(importer, imported) is is_right


def test_a_private_module_is_not_imported_from_elsewhere(imports: set[tuple[str, str]]) -> None:
    wrong = [f"{importer} imports {imported}" for importer, imported in imports if is_private(importer, imported)]
    assert not wrong, listed(wrong, "Import the folder, which names what others may use, instead of its `_module`.")


def is_private(importer: str, imported: str) -> bool:
    """Tell whether one part of the program imports a `_module` of another."""
    is_hidden = any(name.startswith("_") and not name.startswith("__") for name in imported.split("."))
    return is_hidden and importer.split(".")[0] != imported.split(".")[0]


@pytest.mark.parametrize(
    ("importer", "imported", "is_wrong"),
    [
        ("main", "orders.service._buy", True),
        ("main", "cli._place", True),
        ("orders.service", "orders.service._buy", False),
        ("__main__", "cli", False),
    ],
)
def test_the_rule_about_private_modules_bites(importer: str, imported: str, is_wrong: bool) -> None:
    assert is_private(importer, imported) is is_wrong
