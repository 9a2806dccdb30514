"""People: how they register, sign in and call; what staff decide about them; what each Idempotency-Key was used for.

Owns `accounts`, `account_ips`, `account_notes`, `api_keys`, `sessions`, `second_factors`, `recovery_codes`,
`mail_requests`, `mail_tokens`, `email_domains`, `terms`, `terms_acceptances`, `money_requests` and `idempotency_keys`.
"""
