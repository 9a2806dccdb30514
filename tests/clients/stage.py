"""Plays: a client of others runs in its own environment against our server, and tells what it saw."""

import json
import os
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from numberdesk.providers.simulator import PROFILES
from tests.architecture.sources import ROOT
from tests.http.stand import HOST, Client, Stand

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
PLAYS = Path(__file__).parent / "plays"
SECONDS = 110.0
FEW_CALLS = "6 per 20 minutes"
"""A limit that polls cannot live on: whoever polls for twenty minutes does so beside it."""


@dataclass
class Seen:
    """What a play told, by name, and who played."""

    values: dict[str, Any] = field(default_factory=dict)
    alice: Client | None = None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Scenery(Protocol):
    """What a play asks for behind the scenes: a stand has it, and so has a chain of two."""

    def deliver(self, order_id: int, code: str) -> None:
        """Have the provider receive an SMS."""

    def ripen(self, order_id: int) -> None:
        """Make an order old enough to be cancelled."""


def play(stand: Stand, name: str, *, scenery: Scenery | None = None, **environment: str) -> Seen:
    """Run a play to its end; a play that fails shows its traceback."""
    assert PYTHON.exists(), "The clients are not installed: run `make clients` once."
    alice, poor = stand.customer(environment.pop("DESK_RUPEES", "1000")), stand.customer("0")
    told = Seen(alice=alice)
    keys = {"DESK_URL": f"http://{HOST}:{stand.port}", "DESK_KEY": alice.key or "", "DESK_POOR_KEY": poor.key or ""}
    with subprocess.Popen(
        [PYTHON, "-u", PLAYS / f"{name}.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.defpath, "PYTHONPATH": str(PLAYS), "HOME": os.devnull} | keys | environment,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                said = json.loads(line)
                if "saw" in said:
                    told.values[said["saw"]] = said["value"]
                else:
                    done = _behind_the_scenes(stand, scenery or stand, said["ask"], said["args"])
                    process.stdin.write(json.dumps(done) + "\n")
                    process.stdin.flush()
            problems = process.stderr.read()
            assert process.wait(SECONDS) == 0, problems
        finally:
            process.kill()
    return told


def _behind_the_scenes(stand: Stand, scenery: Scenery, verb: str, args: list[Any]) -> Any:
    match verb, args:
        case "deliver", [order_id, code]:
            scenery.deliver(int(order_id), code)
        case "ripen", [order_id]:
            scenery.ripen(int(order_id))
        case "expire", [order_id]:
            stand.change(
                "UPDATE orders SET expires_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = $1",
                int(order_id),
            )
        case "profile", [name]:
            stand.portal.call(stand.provider.set_profile, replace(PROFILES[name], code_after=None))
        case _:
            raise AssertionError(f"a play asks for {verb} {args}")
    return True
