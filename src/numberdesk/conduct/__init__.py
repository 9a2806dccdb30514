"""Responsible use: what a message looks like, how fast an account may buy, who asks lawfully, who belongs together.

Owns `purchase_counts`, `purchase_limits`, `shared_counts`, `account_payers` and `lawful_requests`. What is withheld
stands with the orders.
"""
