-- Numbers for hours or days: for how long they are rented, what that costs, and the reading of it.

-- What a provider asks for a number for so many hours.
CREATE TABLE rental_offers (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service      text NOT NULL REFERENCES services,
    country      integer NOT NULL REFERENCES countries,
    provider_id  smallint NOT NULL REFERENCES providers,
    operator     text NOT NULL DEFAULT 'any',
    hours        smallint NOT NULL CHECK (hours > 0),
    cost_paise   bigint NOT NULL CHECK (cost_paise > 0),
    stock        integer NOT NULL CHECK (stock >= 0),
    observed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    version      bigint NOT NULL,
    CONSTRAINT rental_offers_one UNIQUE (provider_id, country, hours, service, operator)
);
CREATE INDEX rental_offers_version ON rental_offers (version);
CREATE INDEX rental_offers_gone ON rental_offers (observed_at) WHERE stock = 0;

-- The reading of a provider's rentals. There is no list of all: each country and time is asked for by itself, a few of
-- them at each turn. `countries_at` is when it last told in which countries it rents.
CREATE TABLE rental_readings (
    provider_id   smallint PRIMARY KEY REFERENCES providers,
    countries_at  timestamptz,
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until  timestamptz,
    failures      smallint NOT NULL DEFAULT 0 CHECK (failures >= 0)
);

-- One list of a provider: a country for so many hours, and when it was read. Of one that was too short to be believed
-- a digest, and when it was first seen like that.
CREATE TABLE rental_lists (
    provider_id  smallint NOT NULL REFERENCES providers,
    country      integer NOT NULL REFERENCES countries,
    hours        smallint NOT NULL,
    read_at      timestamptz,
    short_list   text,
    short_at     timestamptz,
    PRIMARY KEY (provider_id, country, hours)
);
CREATE INDEX rental_lists_due ON rental_lists (provider_id, read_at NULLS FIRST);

-- One row. `version` counts changes of `rental_offers` and of the hours. Whoever writes takes the next number first and
-- puts it into the rows, so readers need those with a higher number than they know, and nothing else of the catalogue.
-- `hours` are those for which staff let numbers be rented: nothing is read or sold for other times.
CREATE TABLE rental_version (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    version  bigint NOT NULL DEFAULT 1,
    hours    smallint[] NOT NULL DEFAULT '{4,24,72,168,720}' CHECK (0 < ALL (hours))
);
INSERT INTO rental_version DEFAULT VALUES;

GRANT SELECT, INSERT, UPDATE, DELETE ON rental_offers, rental_readings, rental_lists TO numberdesk_app;
GRANT SELECT, UPDATE ON rental_version TO numberdesk_app;
