"""Upstream providers: who sells numbers, how each is spoken to, and what it answered.

Every answer has three values: yes, a listed no, or unknown; unknown moves no money. Owns `providers`,
`provider_words`, `provider_unknown_words`, `provider_health`, `provider_calls`, `provider_alerts`, `provider_money`,
`provider_money_checks`, `provider_balances`, `provider_top_ups`, `price_overruns` and `transcripts`.
"""
