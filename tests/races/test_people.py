"""Fifty tries at once through two server processes: limits admit exactly their number, codes and tokens work once."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest

from numberdesk.accounts import service as accounts
from numberdesk.accounts.service import People
from numberdesk.base.db import Database, run, value
from numberdesk.main import open_people, secrets_of
from numberdesk.settings import load
from numberdesk.wallet.model import AccountId
from tests import last_byte, processes, stand
from tests.last_byte import Shot
from tests.stand import Answer

pytestmark = pytest.mark.anyio

AT_ONCE = 50
EMAIL, PASSWORD = "asha@example.com", "monsoon-mango-lassi"


@dataclass
class _Scene:
    ports: tuple[int, int]
    db: Database
    people: People
    asha: AccountId

    async def fire(self, path: str, bodies: list[dict[str, Any]]) -> list[Answer]:
        """Send requests at once, every other one through the other process."""
        shots = [Shot(self.ports[place % 2], path, body, "") for place, body in enumerate(bodies)]
        return await asyncio.to_thread(last_byte.fire, shots)

    async def login(self, **more: str) -> Answer:
        return (await self.fire("/auth/login", [{"email": EMAIL, "password": PASSWORD} | more]))[0]

    async def begin_anew(self) -> None:
        async with self.db.statement() as tx:
            await run(tx, "DELETE FROM limit_counters")


@pytest.fixture
async def scene(run_folder: Path, database_url: str) -> AsyncIterator[_Scene]:
    environment = stand.ENVIRONMENT | {"DATABASE_URL": database_url, "PASSWORD_MEMORY": "64", "PASSWORD_ROUNDS": "1"}
    settings = load(
        database_url=database_url, api_key_salt=stand.SALT, encryption_keys=stand.ENCRYPTION_KEY,
        jwt_secret=stand.JWT_SECRET, password_memory=64, password_rounds=1,
    )  # fmt: skip
    async with (
        processes.commands(run_folder / f"people-{uuid.uuid4().hex[:8]}", **environment) as commands,
        stand.database(database_url) as db,
    ):
        people = open_people(db, settings, secrets_of(settings))
        async with db.transaction() as tx:
            (asha,) = await accounts.create(tx, emails=[EMAIL], names=["Asha"])
        await accounts.set_password_from_shell(people, asha, PASSWORD)
        servers = await asyncio.gather(commands.serve("--no-worker"), commands.serve("--no-worker"))
        yield _Scene((servers[0].port, servers[1].port), db, people, asha)


def seen(answers: list[Answer]) -> Counter[tuple[int, str]]:
    return Counter((answer.status, answer.code) for answer in answers)


async def test_a_limit_of_five_logins_admits_exactly_five_of_fifty(scene: _Scene) -> None:
    right = [{"email": EMAIL, "password": PASSWORD}] * AT_ONCE
    assert seen(await scene.fire("/auth/login", right)) == {(200, ""): 5, (429, "too_many_requests"): 45}
    await scene.begin_anew()
    wrong = [{"email": EMAIL, "password": "wrong-one"}] * AT_ONCE
    assert seen(await scene.fire("/auth/login", wrong)) == {(401, "bad_credentials"): 5, (429, "too_many_requests"): 45}


async def test_a_limit_of_three_registrations_admits_exactly_three_of_fifty(scene: _Scene) -> None:
    bodies = [
        {"email": f"c{number}@example.com", "password": PASSWORD, "acceptTerms": True} for number in range(AT_ONCE)
    ]
    assert seen(await scene.fire("/auth/register", bodies)) == {(200, ""): 3, (429, "too_many_requests"): 47}
    async with scene.db.statement() as tx:
        assert await value(tx, "SELECT count(*) FROM accounts") == 1 + 3


async def test_a_limit_of_three_codes_admits_exactly_three_of_fifty(scene: _Scene) -> None:
    bodies = [{"email": EMAIL, "otp": f"{number:06d}"} for number in range(AT_ONCE)]
    assert seen(await scene.fire("/auth/verify-email", bodies)) == {
        (400, "link_invalid"): 3,
        (429, "too_many_requests"): 47,
    }


async def test_one_address_registered_fifty_times_at_once_is_one_account(scene: _Scene) -> None:
    for _ in range(3):
        await scene.begin_anew()
        bodies = [{"email": "one@example.com", "password": PASSWORD, "acceptTerms": True}] * AT_ONCE
        found = seen(await scene.fire("/auth/register", bodies))
        assert found == {(200, ""): 3, (429, "too_many_requests"): 47}
    async with scene.db.statement() as tx:
        assert await value(tx, "SELECT count(*) FROM accounts WHERE email_key = 'one@example.com'") == 1
        assert await value(tx, "SELECT count(*) FROM wallets") == 2


async def test_one_code_of_the_second_factor_logs_in_once(scene: _Scene) -> None:
    factor = pyotp.TOTP(pyotp.random_base32())
    await accounts.enrol(scene.people, scene.asha, factor.secret)
    for _ in range(5):
        await scene.begin_anew()
        async with scene.db.statement() as tx:
            await run(tx, "UPDATE second_factors SET last_step = 0")
        bodies = [{"email": EMAIL, "password": PASSWORD, "totp": factor.now()}] * AT_ONCE
        found = seen(await scene.fire("/auth/login", bodies))
        assert found[200, ""] == 1, found
        assert found.keys() <= {(200, ""), (401, "totp_invalid"), (429, "too_many_requests")}


async def test_one_recovery_code_logs_in_once(scene: _Scene) -> None:
    factor = pyotp.TOTP(pyotp.random_base32())
    await accounts.enrol(scene.people, scene.asha, factor.secret)
    signed_in = await scene.login(totp=factor.now())
    async with scene.db.statement() as tx:
        await run(tx, "UPDATE second_factors SET last_step = 0")
    bearer = {"Authorization": f"Bearer {signed_in.data['accessToken']}"}
    async with stand.callers() as web:
        url = f"http://127.0.0.1:{scene.ports[0]}/user/2fa/recovery-codes"
        async with web.post(url, json={"totp": factor.now()}, headers=bearer) as answer:
            codes = (await answer.json())["data"]["recoveryCodes"]
    for code in codes[:3]:
        await scene.begin_anew()
        found = seen(await scene.fire("/auth/login", [{"email": EMAIL, "password": PASSWORD, "totp": code}] * AT_ONCE))
        assert found[200, ""] == 1, found


async def test_one_refresh_token_yields_one_successor(scene: _Scene) -> None:
    refresh = (await scene.login()).data["refreshToken"]
    for _ in range(5):
        answers = await scene.fire("/auth/refresh", [{"refreshToken": refresh}] * AT_ONCE)
        successors = {answer.data["refreshToken"] for answer in answers}
        assert len(successors) == 1
        assert successors != {refresh}
        refresh = successors.pop()
    async with scene.db.statement() as tx:
        assert await value(tx, "SELECT generation FROM sessions") == 6


async def test_one_link_is_used_once(scene: _Scene) -> None:
    for round_number in range(3):
        async with scene.db.transaction() as tx:
            await run(tx, "UPDATE accounts SET verified_at = NULL")
        await scene.begin_anew()
        await scene.fire("/auth/send-verification-email", [{"email": EMAIL}])
        token = await _token_of_the_next_mail(scene)
        found = seen(await scene.fire("/auth/verify-email", [{"token": token}] * AT_ONCE))
        assert found == {(200, ""): 1, (400, "link_invalid"): AT_ONCE - 1}, round_number


async def _token_of_the_next_mail(scene: _Scene) -> str:
    """Write the mail that was asked for, as the worker does, and read its link."""
    await accounts.answer_mail_requests(scene.people, limit=10)
    async with scene.db.statement() as tx:
        payload, dedupe_key = (
            await value(tx, "SELECT payload FROM outbox ORDER BY id DESC LIMIT 1"),
            await value(tx, "SELECT dedupe_key FROM outbox ORDER BY id DESC LIMIT 1"),
        )
    text = scene.people.vault.open(payload, about=f"outbox:{dedupe_key}")
    return text.split("#token=")[1][:43]
