"""What happened that somebody may have to answer for: who did it, to whom, from where.

Owns the tables `audit_log` and `audit_seals`. Rows are written in the transaction of what they tell, never changed, and
chained by their hashes a moment later.
"""
