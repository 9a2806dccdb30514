"""Customers' webhooks: where events are posted, and what became of each.

Owns `webhook_endpoints` and `webhook_deliveries`.
"""
