"""`keys`: secrets of a home are renewed while it works, and old values go only when nothing needs them."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from numberdesk.base import postgres_process
from tests.cli.shell import Forge, Shell

ADD = "provider add alpha --url http://127.0.0.1:9 --api-key key-at-the-simulator"


@pytest.fixture(scope="module")
def shell(forge: Forge, run_folder: Path) -> Iterator[Shell]:
    """A home of its own with a provider, whose key is sealed, and customers with API keys."""
    folder = run_folder / f"keys-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    shell = Shell(forge, folder, {"NUMBERDESK_HOME": "home"})
    shell.succeed("migrate")
    shell.succeed(*ADD.split())
    shell.succeed("seed", "--users", "3", "--balance", "1", "--keys-file", "api-keys")
    yield shell
    postgres_process.stop(folder / "home" / "pg")


def kept(shell: Shell, name: str) -> list[str]:
    known = json.loads((shell.folder / "home" / "secrets.json").read_text())
    return str(known[name]).split(",")


def test_an_encryption_key_is_renewed_and_the_old_one_dropped(shell: Shell) -> None:
    (old,) = kept(shell, "encryption_keys")
    told = shell.succeed("keys", "rotate", "ENCRYPTION_KEYS")
    assert "providers           1 sealed anew" in told
    newer, second = kept(shell, "encryption_keys")
    assert second == old != newer
    assert "providers           0 sealed anew" in shell.succeed("keys", "rotate")
    listed = shell.succeed("keys", "list")
    assert old not in listed
    assert newer not in listed
    assert "ENCRYPTION_KEYS has its newest value only" in shell.succeed("keys", "drop", "ENCRYPTION_KEYS")
    assert kept(shell, "encryption_keys") == [newer]
    # What was sealed is read with the new key alone: the refusal is the provider's, not the vault's.
    assert "does not tell its balance" in shell.run("provider", "test", "alpha").err
    assert "has one value only" in shell.run("keys", "drop", "ENCRYPTION_KEYS").sentence


def test_the_pepper_of_api_keys_stays_until_every_key_has_gone_over(shell: Shell) -> None:
    told = shell.succeed("keys", "rotate", "API_KEY_SALT")
    assert "Each API key goes over when it is used next" in told
    assert len(kept(shell, "api_key_salt")) == 2
    refusal = shell.run("keys", "drop", "API_KEY_SALT").sentence
    assert "3 API keys were not used since" in refusal
    assert len(kept(shell, "api_key_salt")) == 2
    shell.succeed("keys", "drop", "API_KEY_SALT", "--yes")
    assert len(kept(shell, "api_key_salt")) == 1


def test_the_secret_of_tokens_stays_while_logins_of_before_live(shell: Shell) -> None:
    assert "the old value may go on 20" in shell.succeed("keys", "rotate", "JWT_SECRET")
    assert "live until" in shell.run("keys", "drop", "JWT_SECRET").sentence
    assert len(kept(shell, "jwt_secret")) == 2


def test_with_processes_that_run_nothing_is_sealed_before_they_know_the_key(shell: Shell) -> None:
    with shell.started("worker") as worker:
        worker.says("The worker runs")
        told = shell.succeed("keys", "rotate", "ENCRYPTION_KEYS")
        assert "start them anew" in told
        assert "sealed anew" not in told
        assert "Then run `keys rotate`" in told
        for hasty in (("rotate",), ("drop", "ENCRYPTION_KEYS")):
            assert "does not know the newer value yet: start it anew first" in shell.run("keys", *hasty).sentence
        assert len(kept(shell, "encryption_keys")) == 2
    with shell.started("worker") as worker:
        worker.says("The worker runs")
        assert "providers           1 sealed anew" in shell.succeed("keys", "rotate")


def test_secrets_of_the_environment_are_left_to_whoever_set_them(shell: Shell) -> None:
    before = kept(shell, "encryption_keys")
    for verb in ("rotate", "add", "drop"):
        refusal = shell.run("keys", verb, "ENCRYPTION_KEYS", ENCRYPTION_KEYS=before[-1]).sentence
        assert refusal.startswith("ENCRYPTION_KEYS comes from the environment, not from this home")
    assert kept(shell, "encryption_keys") == before
    refusal = shell.run("keys", "rotate", "NOTHING").sentence
    assert refusal == "There is no secret NOTHING: API_KEY_SALT, ENCRYPTION_KEYS, JWT_SECRET."
