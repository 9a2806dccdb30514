"""The ledger: wallets, holds, postings and their entries. The only slice that moves money.

Promises: every posting sums to zero; no wallet is ever negative; one effect per cause; a hold ends once; postings
and entries are never changed. Owns the tables `wallets`, `postings`, `entries`, `holds`, `system_changes` and
`system_balances`.
"""
