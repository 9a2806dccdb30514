"""The lists that come with the program: countries, services, and the categories that are blocked from the start."""

import csv
from importlib import resources

from numberdesk.base.db import Database
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import BlockedCategory, Country, CountryCode, Loaded, Service, ServiceCode


async def load(db: Database) -> Loaded:
    """Write the lists into the database; what the operator switched on or off stays as it is.

    A repeat changes nothing. Rows that a newer list no longer has are kept: orders and offers refer to them.
    """
    countries = [
        Country(
            code=CountryCode(int(row["code"])),
            iso=row["iso"],
            name=row["name"],
            calling_code=row["calling_code"],
            iso_default=row["iso_default"] == "1",
            is_on=True,
        )
        for row in _read("countries.csv")
    ]
    services = [
        Service(code=ServiceCode(row["code"]), name=row["name"], category=row["category"], is_on=True)
        for row in _read("services.csv")
    ]
    blocked = [
        BlockedCategory(category=row["category"], reason=row["reason"], is_on=True)
        for row in _read("blocked_categories.csv")
    ]
    async with db.transaction() as tx:
        changed = await sql.upsert_countries(tx, countries)
        changed += await sql.upsert_services(tx, services)
        changed += await sql.upsert_blocked_categories(tx, blocked)
        if changed + await sql.delete_mapped(tx):
            await sql.set_version(tx)
    return Loaded(countries=len(countries), services=len(services), blocked_categories=len(blocked), changed=changed)


def _read(name: str) -> list[dict[str, str]]:
    text = resources.files("numberdesk.catalogue").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
