"""What can be bought: services, countries, offers of the providers, price rules and what is not sold at all.

A purchase looks at no table: every process holds a `Shelf` that is at most a second old. Owns `services`, `countries`,
`blocked_categories`, `unmapped_services`, `unmapped_countries`, `offers`, `price_rules`, `catalogue_version`,
`catalogue_syncs`, `catalogue_sync_asks`, `rental_lists`, `rental_offers`, `rental_readings`, `rental_version`,
`delivery_stats` and `delivery_stats_mark`; reads providers and orders.
"""
