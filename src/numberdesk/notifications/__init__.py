"""Messages to people: written down with what they tell of, sent afterwards by a pass.

Owns the table `outbox`.
"""
