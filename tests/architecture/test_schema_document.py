"""`docs/schema.sql` is what the migrations make of an empty database."""

import re

from numberdesk.base.postgres import Cluster
from tests.architecture.renew import ROOT, schema_of


def test_the_schema_document_is_the_schema_of_a_migrated_database(cluster: Cluster) -> None:
    text = schema_of(cluster)
    document = (ROOT / "docs" / "schema.sql").read_text(encoding="utf-8")
    assert document == text, "docs/schema.sql is not what the migrations make: run `make docs` and look at the change."


def test_nothing_in_it_changes_from_month_to_month_or_with_the_version(cluster: Cluster) -> None:
    assert not re.search(r"_20\d\d_|\d\d\.\d|restrict|transaction_timeout|_not_null", schema_of(cluster))
