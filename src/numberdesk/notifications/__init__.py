"""Messages to people: written down with what they tell of, sent afterwards by a pass.

Owns `outbox`, `notice_choices`, `staff_targets`, `error_alerts`, `telegram_channel`, `telegram_codes` and
`telegram_links`.
"""
