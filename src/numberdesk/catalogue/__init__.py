"""What can be bought: services, countries, offers of the providers, price rules and what is not sold at all.

Owns the tables services, countries, blocked_categories, unmapped_services, unmapped_countries, offers, price_rules,
catalogue_version, catalogue_syncs, catalogue_sync_asks, delivery_stats; reads providers and orders. A purchase looks at
no table: every process holds a `Shelf` that is at most a second old.
"""
