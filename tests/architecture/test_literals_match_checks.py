"""States are a `Literal` in the code and a `CHECK` in the table: the two lists are the same."""

import re
from typing import Any, get_args

import pytest

from numberdesk.accounts.model import (
    AccountState,
    Dialect,
    EndedWhy,
    MoneyAction,
    MoneyState,
    RequestPurpose,
    Role,
    TokenPurpose,
    Verdict,
)
from numberdesk.audit.model import ActorKind
from numberdesk.catalogue.model import SyncState
from numberdesk.conduct.model import Kind as MessageKind
from numberdesk.conduct.model import LawfulState, SharedKind
from numberdesk.maintenance.model import Area, WindowKind
from numberdesk.monitoring.model import LedgerScope, PartState
from numberdesk.notifications.model import Channel, OutboxState, StaffChannel, TargetState
from numberdesk.orders.model import (
    Action,
    EventType,
    Failure,
    InboundState,
    OrderState,
    OrphanState,
    ProlongationState,
    UpstreamRefund,
    WithheldState,
)
from numberdesk.payments import model as payments
from numberdesk.payments.methods.gateway import GatewayName
from numberdesk.providers.model import AlertKind, BreakerState, Forced, Kind, TopUpKind, WordKind, WordSource
from numberdesk.reports.model import OrderSpan, Span
from numberdesk.support import model as support
from numberdesk.wallet.model import Bucket, CauseType, HoldState, PostingKind
from numberdesk.webhooks.model import DeliveryState, EndpointState, Format
from tests.architecture.sources import ROOT, listed

LITERALS: dict[str, Any] = {
    "accounts_role": Role,
    "accounts_state": AccountState,
    "api_keys_dialect": Dialect,
    "approvals_subject": payments.Subject,
    "audit_log_actor_kind": ActorKind,
    "bank_credits_source": payments.BankCreditSource,
    "bank_credits_state": payments.BankCreditState,
    "catalogue_syncs_state": SyncState,
    "email_domains_verdict": Verdict,
    "entries_bucket": Bucket,
    "exchanges_action": Action,
    "external_payments_proof": payments.ProofKind,
    "external_payments_rail": payments.Rail,
    "external_payments_state": payments.PaymentState,
    "external_payments_why": payments.Why,
    "gateway_refunds_begun_by": payments.BegunBy,
    "gateway_refunds_state": payments.RefundState,
    "holds_state": HoldState,
    "inbound_messages_state": InboundState,
    "ledger_results_scope": LedgerScope,
    "ledger_runs_scope": LedgerScope,
    "lawful_requests_state": LawfulState,
    "mail_requests_purpose": RequestPurpose,
    "mail_tokens_purpose": TokenPurpose,
    "order_events_type": EventType,
    "maintenance_windows_area": Area,
    "maintenance_windows_kind": WindowKind,
    "money_requests_action": MoneyAction,
    "money_requests_state": MoneyState,
    "orders_failure": Failure,
    "orders_state": OrderState,
    "orders_upstream_refund": UpstreamRefund,
    "orphans_state": OrphanState,
    "outbox_channel": Channel,
    "outbox_state": OutboxState,
    "postings_cause_type": CauseType,
    "postings_kind": PostingKind,
    "prolongations_state": ProlongationState,
    "provider_alerts_kind": AlertKind,
    "provider_health_forced": Forced,
    "provider_health_state": BreakerState,
    "provider_top_ups_kind": TopUpKind,
    "provider_words_kind": WordKind,
    "provider_words_source": WordSource,
    "providers_kind": Kind,
    "quotes_asset": payments.Asset,
    "quotes_basis": payments.Basis,
    "rate_samples_asset": payments.Asset,
    "receipts_kind": payments.ReceiptKind,
    "recharge_events_event": payments.RechargeEvent,
    "recharges_method": payments.Method,
    "recharges_rail": payments.Rail,
    "recharges_status": payments.RechargeStatus,
    "reconciliations_source": payments.ReconciledSource,
    "report_due_span": Span,
    "report_money_span": Span,
    "report_orders_span": OrderSpan,
    "report_taxes_span": Span,
    "sessions_ended_why": EndedWhy,
    "shared_counts_kind": SharedKind,
    "staff_targets_channel": StaffChannel,
    "staff_targets_state": TargetState,
    "statements_state": payments.StatementState,
    "ticket_attachments_type": support.ImageType,
    "ticket_messages_kind": support.MessageKind,
    "tickets_ended_by": support.EndedBy,
    "tickets_priority": support.Priority,
    "tickets_state": support.TicketState,
    "status_parts_state": PartState,
    "telegram_links_state": TargetState,
    "utr_claims_state": payments.ClaimState,
    "vpas_kind": payments.VpaKind,
    "webhook_deliveries_state": DeliveryState,
    "webhook_endpoints_format": Format,
    "webhook_endpoints_state": EndpointState,
    "webhook_events_gateway": GatewayName,
    "webhook_events_state": payments.WebhookState,
    "withheld_messages_kind": MessageKind,
    "withheld_messages_state": WithheldState,
}
"""The `Literal` of each constraint."""

WITHOUT_LITERAL = {
    "idempotency_keys_state": "read and written by the statements of accounts.sql only; Python sees the answer instead",
}
"""Constraints whose words never reach Python, and why."""

_CHANGE = re.compile(
    r"DROP CONSTRAINT (?:IF EXISTS )?(?P<dropped>\w+)"
    r"|(?:CONSTRAINT (?P<name>\w+) )?CHECK ?\( ?(?P<column>\w+) IN ?\((?P<words>[^()]*)\) ?\)"
)


def lists_of_words(migrations: str) -> dict[str, set[str]]:
    """Return what each `CHECK (column IN (…))` allows after all migrations, by the constraint's name."""
    found: dict[str, set[str]] = {}
    for change in _CHANGE.finditer(" ".join(re.sub(r"--.*", "", migrations).split())):
        if change["dropped"]:
            found.pop(change["dropped"], None)
        else:
            name = change["name"] or f"a constraint without a name on {change['column']}"
            found[name] = set(re.findall(r"'([^']*)'", change["words"]))
    return found


@pytest.fixture(scope="module")
def checks() -> dict[str, set[str]]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "migrations").glob("*.sql"))]
    return lists_of_words("\n".join(texts))


@pytest.mark.parametrize("constraint", LITERALS)
def test_the_words_of_a_check_are_those_of_its_literal(checks: dict[str, set[str]], constraint: str) -> None:
    assert constraint in checks, f"No migration makes {constraint}: take it out of LITERALS, or name the CHECK so."
    in_code = set(get_args(LITERALS[constraint]))
    assert checks[constraint] == in_code, (
        f"{constraint}: only in the table {checks[constraint] - in_code or '-'}, "
        f"only in the Literal {in_code - checks[constraint] or '-'}. A new word needs a migration and the Literal."
    )


def test_every_check_of_words_has_its_literal(checks: dict[str, set[str]]) -> None:
    unknown = list(checks.keys() - LITERALS.keys() - WITHOUT_LITERAL.keys())
    unknown += [f"{name}: only in WITHOUT_LITERAL" for name in WITHOUT_LITERAL.keys() - checks.keys()]
    assert not unknown, listed(
        unknown, "Name the constraint <table>_<column> and add it to LITERALS, or to WITHOUT_LITERAL with a reason."
    )


def test_later_migrations_win() -> None:
    first = "CREATE TABLE a (b text CONSTRAINT a_b\n CHECK (b IN ('x', 'y')), c text CHECK (c IN ('z')));"
    assert lists_of_words(first) == {"a_b": {"x", "y"}, "a constraint without a name on c": {"z"}}
    later = "ALTER TABLE a DROP CONSTRAINT a_b; ALTER TABLE a ADD CONSTRAINT a_b CHECK (b IN ('x')) NOT VALID;"
    assert lists_of_words(first + later)["a_b"] == {"x"}
    assert "a_b" not in lists_of_words(first + "ALTER TABLE a DROP CONSTRAINT IF EXISTS a_b;")
