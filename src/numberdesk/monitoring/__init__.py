"""Watching the rest: whether the process can work, and whether the ledger still keeps its promises.

Reads any table and writes only its own: counters, results of checks, the status of each day.
"""
