"""Money in: recharges by UPI and TRX, the proofs of payment, receipts, and what the outside says against our books.

Promises: a payment from outside is credited once, for ever; nothing proven is dropped, late or odd as it may be; a
claim alone never credits. Owns the tables `vpas`, `recharges`, `recharge_events`, `external_payments`, `bank_credits`,
`utr_claims`, `statements`, `approvals`, `webhook_events`, `gateway_refunds`, `tron_wallets`, `tron_addresses`,
`rate_samples`, `quotes`, `receipts`, `receipt_series` and `reconciliations`.
"""
