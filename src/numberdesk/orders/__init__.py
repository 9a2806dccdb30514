"""The main job: rent a number, read its code, cancel, extend, expire; pay only if the code came.

Promises: no upstream call inside a transaction; an unknown answer neither refunds nor buys again; the code becomes
readable in the transaction that captures the hold. Owns `orders`, `activations`, `orphans`, `messages`,
`inbound_messages`, `withheld_messages`, `exchanges`, `prolongations`, `order_events`, `event_counters`,
`purchase_references` and `undelivered_purchases`.
"""
