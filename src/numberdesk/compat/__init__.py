"""Protocols of other services, spoken as translations over orders and catalogue: no rule and no SQL of their own."""
