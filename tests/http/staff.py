"""Staff over HTTP: who they are, and what tests of their work share."""

from typing import Any

import pyotp

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Role
from numberdesk.base.visit import Visit
from tests.http.stand import PASSWORD, Answer, Client, Stand


class Member:
    """Somebody of the staff, with a second factor."""

    def __init__(self, stand: Stand, role: Role, *, name: str | None = None) -> None:
        self.email = f"{name or role}@staff.example.com"
        stand.change("DELETE FROM limit_counters")
        known = stand.portal.call(accounts.find_by_email, stand.site.db, self.email)
        account_id = stand.signed_in(self.email, role=role).account_id if known is None else known
        self.stand, self.account_id, self.secret = stand, account_id, pyotp.random_base32()
        stand.portal.call(accounts.enrol, stand.site.people, account_id, self.secret)
        self.client = Client(stand.port, token=stand.portal.call(self._login), account_id=account_id)

    async def _login(self) -> str:
        visit, totp = Visit("a-login-of-staff", "127.0.0.1"), pyotp.TOTP(self.secret).now()
        found = await accounts.login(self.stand.site.people, visit, email=self.email, password=PASSWORD, totp=totp)
        return found[0].access

    def fresh(self) -> str:
        """Return a code that was not used: the one of this half minute counts as unused again."""
        self.stand.portal.call(self.forget_code)
        return pyotp.TOTP(self.secret).now()

    async def forget_code(self) -> None:
        """Let the code of this half minute count as unused."""
        async with self.stand.site.db.statement() as tx:
            await tx._connection.execute("UPDATE second_factors SET last_step = 0")


def agree(member: Member, request: int, **headers: str) -> Answer:
    """Agree to what another person asked for."""
    return member.client.post(f"/admin/requests/{request}/agree", {"totp": member.fresh()}, **headers)


def events(member: Member, client: Client, action: str) -> list[dict[str, Any]]:
    """Return what is recorded of an action on an account, newest first."""
    found = member.client.get(f"/admin/audit?account={client.account_id}&action={action}").data["items"]
    return [item["details"] for item in found]
