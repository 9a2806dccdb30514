"""Watching the rest: whether the process can work, and whether the ledger still keeps its promises.

Reads any table and writes none.
"""
