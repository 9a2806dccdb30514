-- What purchases say of offers, and why an order went where it went.

-- Stock that is listed and cannot be had: refusals in a row, and until when it is not believed. `phantom_times` doubles
-- that time; a sale clears all.
ALTER TABLE offers
    ADD COLUMN misses         smallint NOT NULL DEFAULT 0 CHECK (misses >= 0),
    ADD COLUMN phantom_times  smallint NOT NULL DEFAULT 0 CHECK (phantom_times >= 0),
    ADD COLUMN phantom_until  timestamptz,
    ADD COLUMN tried_at       timestamptz;
CREATE INDEX offers_phantom ON offers (phantom_until) WHERE phantom_until IS NOT NULL;
CREATE INDEX offers_tried ON offers (tried_at) WHERE tried_at IS NOT NULL;

-- How the offers were ranked and what was passed over, as JSON for staff.
ALTER TABLE orders ADD COLUMN route text;
