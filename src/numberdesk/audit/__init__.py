"""What happened that somebody may have to answer for: who did it, to whom, from where.

Owns the table `audit_log`. Rows are written in the transaction of what they tell, and never changed.
"""
