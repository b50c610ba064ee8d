CREATE SCHEMA clinic;
CREATE SCHEMA "My.Schema";
CREATE TYPE mpaa AS ENUM ('G', 'PG', 'it''s "R"');
CREATE DOMAIN year AS integer CHECK (VALUE BETWEEN 1901 AND 2155);
CREATE DOMAIN plate AS text NOT NULL;

CREATE TABLE category_of_film (category_id integer PRIMARY KEY, label text);
CREATE TABLE film (
    film_id integer PRIMARY KEY, title text NOT NULL, description text, release_year year, rating mpaa,
    rental_rate numeric(4, 2) NOT NULL, special_features text[], fulltext tsvector, poster bytea,
    sequel_of integer REFERENCES film, last_update timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE inventory (
    inventory_id integer PRIMARY KEY, film_id integer NOT NULL REFERENCES film,
    last_update timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE customer (
    customer_id integer PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, email text, active boolean,
    referred_by integer REFERENCES customer
);
CREATE TABLE rental (
    rental_id integer PRIMARY KEY, uuid uuid NOT NULL UNIQUE, rental_date timestamptz NOT NULL,
    inventory_id integer NOT NULL REFERENCES inventory, customer_id integer NOT NULL REFERENCES customer,
    return_date timestamptz, staff_id smallint, last_update timestamptz NOT NULL DEFAULT now(),
    UNIQUE (rental_date, inventory_id, customer_id)
);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.last_update = now(); RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON rental FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO film SELECT n, 'FILM ' || n, repeat('words of it ', 9), 2000, 'G', 4.99, ARRAY['Trailers', NULL], 'a b', 'x'
  FROM generate_series(1, 20) n;
INSERT INTO inventory SELECT n, 1 + n % 20 FROM generate_series(1, 50) n;
INSERT INTO customer SELECT n, 'Asha' || n, 'Rao' || n, 'asha' || n || '@example.org', true FROM generate_series(1, 40) n;
INSERT INTO rental
SELECT n, gen_random_uuid(), '2026-11-22 05:00+05:30'::timestamptz - n * interval '1 minute', 1 + n % 50, 1 + n % 40,
       CASE WHEN n > 50 THEN '2026-11-22 05:30+05:30'::timestamptz - n * interval '30 seconds' END, 1
  FROM generate_series(1, 600) n;

CREATE TABLE payment (
    payment_id integer NOT NULL, payment_date timestamptz NOT NULL, amount numeric NOT NULL,
    PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_11 PARTITION OF payment FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
CREATE TABLE payment_12 PARTITION OF payment FOR VALUES FROM ('2026-12-01') TO ('2027-01-01');
INSERT INTO payment SELECT n, '2026-11-21 18:00+00'::timestamptz - n * interval '1 minute', n FROM generate_series(1, 200) n;

CREATE TABLE "select" (
    "from" integer NOT NULL, "class" text NOT NULL, "created At" timestamp NOT NULL, "items" integer, "keys" text,
    "50%" numeric, "a.b" text, "it's ""so""" text, "MixedCase" boolean, "_x" integer, event_type text, loaded_at text,
    "Ünïcode" text, c integer, PRIMARY KEY ("from", "class")
);
INSERT INTO "select" VALUES
    (1, 'a:b', '2026-11-21 23:00', 1, 'k', 0.5, 'd', 'q', true, 4, 't', 'l', 'ü', 7),
    (1, 'a\b', '2026-11-21 23:30', 2, 'k', 0.5, 'd', 'q', false, 4, 't', 'l', 'ü', 8);
CREATE TABLE "Order Lines%s" (
    "Line No" integer, "Order Id" integer, "Placed On" date NOT NULL, note text, PRIMARY KEY ("Order Id", "Line No")
);
CREATE TABLE "My.Schema"."dotted.table" (id integer PRIMARY KEY, occurred_at timestamptz NOT NULL, n integer);
CREATE TABLE "x
import os" (id integer PRIMARY KEY, occurred_at timestamptz NOT NULL, "y
z" integer);

CREATE TABLE visits (visit_id integer PRIMARY KEY, visited_at timestamptz NOT NULL, ward integer);
CREATE TABLE clinic.visits (visit_id integer PRIMARY KEY, visited_at timestamptz NOT NULL, urgency text
    CHECK (urgency IN ('RED', 'GREEN')), before_id integer REFERENCES visits);
CREATE TABLE clinic.only_here (id integer PRIMARY KEY, seen_at timestamptz NOT NULL, n integer);

CREATE TABLE unkeyed (happened_at timestamptz NOT NULL, reading double precision, device_code text);
INSERT INTO unkeyed SELECT '2026-11-21 20:00+05:30'::timestamptz + n * interval '1 second', n % 7, 'd' || n
  FROM generate_series(1, 100) n;
CREATE TABLE doubled (happened_at timestamptz NOT NULL, reading integer);
INSERT INTO doubled SELECT '2026-11-21 20:00+05:30', 1 FROM generate_series(1, 3);
CREATE TABLE nothing_yet (id integer, at_time timestamptz, word text);
CREATE TABLE only_times (id integer PRIMARY KEY, created_at timestamptz NOT NULL);
CREATE TABLE timeless (id integer PRIMARY KEY, word text);
CREATE VIEW open_rentals AS SELECT rental_id, rental_date, customer_id FROM rental WHERE return_date IS NULL;
CREATE MATERIALIZED VIEW rated AS SELECT rental_id, rental_date AS at FROM rental;

CREATE TABLE airport (airport_id integer PRIMARY KEY, elevation integer, category mpaa);
CREATE TABLE flight (
    flight_id bigint PRIMARY KEY, departed_at timestamptz NOT NULL, origin_airport_id integer NOT NULL REFERENCES airport,
    target_airport_id integer REFERENCES airport, deleted_at timestamptz, is_test boolean NOT NULL DEFAULT false,
    span tstzrange, took interval, tags integer[], seats integer[][], born_on date, phone_number bigint, pay money
);
CREATE TABLE a_cycle (id integer PRIMARY KEY, at timestamptz NOT NULL, b_id integer);
CREATE TABLE b_cycle (id integer PRIMARY KEY, score integer, a_id integer REFERENCES a_cycle);
ALTER TABLE a_cycle ADD FOREIGN KEY (b_id) REFERENCES b_cycle;
CREATE TABLE orders (region text, number integer, ordered_at timestamptz NOT NULL, status text, PRIMARY KEY (region, number));
CREATE TABLE order_items (
    item_id integer PRIMARY KEY, region text NOT NULL, number integer NOT NULL, amount integer,
    FOREIGN KEY (region, number) REFERENCES orders
);
CREATE INDEX ON orders (ordered_at);
INSERT INTO orders VALUES ('N', 1, '2026-11-21 20:00+05:30', 'OPEN');
INSERT INTO order_items VALUES (1, 'N', 1, 5), (2, 'N', 1, 6);
CREATE TABLE clinic.twin (id integer PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE "My.Schema".twin (id integer PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE readings (id integer PRIMARY KEY, read_at timestamptz NOT NULL, status text, guest text);
CREATE INDEX ON readings (read_at);
INSERT INTO readings SELECT n, '2026-11-21 08:00+05:30'::timestamptz + n * interval '1 second',
    CASE n % 3 WHEN 0 THEN 'OPEN' ELSE 'DONE' END, CASE n % 2 WHEN 0 THEN 'MEENA' ELSE 'KIRAN' END
  FROM generate_series(1, 120000) n;
ANALYZE readings;
CREATE VIEW slow AS SELECT n AS id, '2026-11-21 12:00+05:30'::timestamptz AS at, pg_sleep(1)::text AS word FROM generate_series(1, 100) n;
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE every_type (
    id uuid PRIMARY KEY, at timestamptz NOT NULL, small smallint, big bigint, single real, dbl double precision,
    num numeric, whole numeric(20), money money, yes boolean, words text, code char(3), long varchar(9), "name" name,
    doc json, docb jsonb, host inet, net cidr, mac macaddr, day date, clock time, clockz timetz, naive timestamp,
    span interval, bits bit(3), lots varbit, point point, range int4range, object oid, kind mpaa, year year, plate plate,
    composite pair, markup xml, search tsvector, raw bytea, kinds mpaa[], ids uuid[], days date[], nums numeric(9, 2)[],
    instants timestamptz[], naives timestamp[], texts text[], docs jsonb[], raws bytea[], trues boolean[]
);
INSERT INTO every_type (id, at, plate, day, naive) VALUES (gen_random_uuid(), '2026-11-21 20:00+05:30', 'x', 'infinity', 'infinity');
