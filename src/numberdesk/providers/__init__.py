"""Upstream providers: who sells numbers, how each is spoken to, and what it answered.

Owns the table `providers`. Every answer has three values: yes, a listed no, or unknown; unknown moves no money.
"""
