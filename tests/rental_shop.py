"""Another team's database: rentals, and payments in partitions, as a public sample database has them."""

from __future__ import annotations

from sqlalchemy import Engine

__all__ = ["NOW", "ZONE", "open_shop"]


ZONE = "America/New_York"
NOW = "2026-11-22T06:10:00-05:00"

TABLES = """
CREATE TYPE mpaa_rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE DOMAIN year AS integer CHECK (VALUE BETWEEN 1901 AND 2155);
CREATE TABLE customer (
    customer_id serial PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, email text
);
CREATE TABLE staff (staff_id serial PRIMARY KEY, first_name text, picture bytea);
CREATE TABLE film (
    film_id serial PRIMARY KEY, title text NOT NULL, release_year year, rental_rate numeric(4, 2) NOT NULL,
    rating mpaa_rating, special_features text[], fulltext tsvector
);
CREATE TABLE inventory (inventory_id serial PRIMARY KEY, film_id integer NOT NULL REFERENCES film);
CREATE TABLE rental (
    rental_id serial PRIMARY KEY, rental_date timestamptz NOT NULL, inventory_id integer NOT NULL REFERENCES inventory,
    customer_id integer NOT NULL REFERENCES customer, return_date timestamptz,
    staff_id integer NOT NULL REFERENCES staff, last_update timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ON rental (rental_date, inventory_id, customer_id);
CREATE TABLE payment (
    payment_id serial, customer_id integer NOT NULL REFERENCES customer, staff_id integer NOT NULL REFERENCES staff,
    rental_id integer REFERENCES rental, amount numeric(5, 2) NOT NULL, payment_date timestamptz NOT NULL,
    PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_2026_11 PARTITION OF payment FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
CREATE TABLE payment_2026_12 PARTITION OF payment FOR VALUES FROM ('2026-12-01') TO ('2027-01-01');
"""

# A rental every seven minutes for four days and nights, and its payment; one in nine is not back yet.
ROWS = """
INSERT INTO customer (first_name, last_name, email)
SELECT 'Ana ' || n, 'Li ' || n, 'ana' || n || '@example.org' FROM generate_series(1, 50) n;
INSERT INTO staff (first_name, picture) VALUES ('Mike', '\\x89504e'), ('Jon', NULL);
INSERT INTO film (title, release_year, rental_rate, rating, special_features, fulltext)
SELECT 'Film ' || n, 1990 + mod(n, 30), (ARRAY[0.99, 2.99, 4.99])[1 + mod(n, 3)],
       (enum_range(NULL::mpaa_rating))[1 + mod(n, 5)],
       CASE WHEN mod(n, 4) > 0 THEN ARRAY['Trailers', 'Deleted Scenes', NULL] END, to_tsvector('film ' || n)
  FROM generate_series(1, 40) n;
INSERT INTO inventory (film_id) SELECT 1 + mod(n, 40) FROM generate_series(1, 100) n;
INSERT INTO rental (rental_date, inventory_id, customer_id, return_date, staff_id)
SELECT at, 1 + mod(n, 100), 1 + mod(n, 50), CASE WHEN mod(n, 9) > 0 THEN at + interval '2 days' END, 1 + mod(n, 2)
  FROM generate_series(1, 800) n, LATERAL (SELECT timestamptz '2026-11-18 12:00-05' + n * interval '7 min' AS at) AS t;
INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)
SELECT customer_id, staff_id, rental_id, 0.99 + mod(rental_id, 7), rental_date + interval '3 min' FROM rental;
ANALYZE;
"""


def open_shop(source: Engine) -> None:
    """Make the tables and fill them."""
    with source.begin() as connection:
        for script in (TABLES, ROWS):
            connection.exec_driver_sql(script)
