"""Watching the rest: whether the process can work, and whether the ledger still keeps its promises.

Reads any table and writes only its own: `metric_totals`, `processes`, `ledger_runs`, `ledger_results`, `status_parts`,
`status_days` and `status_mark`.
"""
