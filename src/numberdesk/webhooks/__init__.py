"""Customers' webhooks: where events are posted, and what became of each."""
