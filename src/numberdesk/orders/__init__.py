"""The main job: rent a number, read its code, cancel, extend, expire; pay only if the code came.

Promises: no upstream call inside a transaction; an unknown answer neither refunds nor buys again; the code becomes
readable in the transaction that captures the hold. Owns the tables `orders`, `activations`, `orphans`, `messages`,
`exchanges` and `prolongations`, and those of events and of purchases over a wire.
"""
