"""Customers and the keys they call with; what each Idempotency-Key was used for.

Owns the tables `accounts`, `api_keys` and `idempotency_keys`.
"""
