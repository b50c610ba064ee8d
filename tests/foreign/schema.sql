-- A theatre's database that nobody would design: reserved and mixed-case names, a schema with a space, keys of several
-- columns, one table for several kinds, partitions, a view, domains, and a column of every family of types.
CREATE SCHEMA "Opera House";
SET search_path TO "Opera House";

CREATE DOMAIN seat AS varchar(6) CHECK (VALUE ~ '^[A-Z][0-9]+$');
CREATE DOMAIN "share %" AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN "share to pay %" AS "share %";
CREATE TYPE "Mood" AS ENUM ('quiet', 'it''s loud', 'RIOT');

CREATE TABLE "Group" ("group" text PRIMARY KEY, "User" text NOT NULL, "limit" smallint);

CREATE TABLE "Order" (
    season smallint, "No." bigint, "when" timestamptz NOT NULL, "group" text NOT NULL REFERENCES "Group",
    "select" seat, "discount %" "share to pay %", "from" text, price money, "returnedAt" timestamptz,
    PRIMARY KEY (season, "No.")
);
CREATE INDEX ON "Order" ("when");

-- Each line of an order, beside its key of two columns.
CREATE TABLE "Order Line" (
    season smallint, "No." bigint, "line" smallint, "at" timestamptz NOT NULL, "table" text,
    PRIMARY KEY ("line", season, "No."), FOREIGN KEY (season, "No.") REFERENCES "Order" (season, "No.")
);
CREATE INDEX ON "Order Line" ("at");

-- Rehearsals and performances: one table, told apart by "Kind", on the house's own clocks.
CREATE TABLE happening (
    "Id" uuid PRIMARY KEY, "Kind" char(4) NOT NULL, "at" timestamp NOT NULL, "group" text REFERENCES "Group",
    mood "Mood", length interval, cast_ids integer[], "end" time
);
CREATE INDEX ON happening ("at");

CREATE TABLE scan (
    "scanId" bigint, "scanned at" timestamptz NOT NULL, gate inet, "seat" seat, ok boolean NOT NULL,
    PRIMARY KEY ("scanId", "scanned at")
) PARTITION BY RANGE ("scanned at");
CREATE TABLE "scan until 21" PARTITION OF scan FOR VALUES FROM (MINVALUE) TO ('2026-11-21 00:00+00');
CREATE TABLE "scan from 21" PARTITION OF scan FOR VALUES FROM ('2026-11-21 00:00+00') TO (MAXVALUE);
CREATE INDEX ON scan ("scanned at");

CREATE TABLE "complaint book" (n bigint PRIMARY KEY, "written on" timestamptz NOT NULL, "text" text, hidden boolean);
CREATE INDEX ON "complaint book" ("written on");
CREATE VIEW "v Complaint" AS SELECT n AS "N", "written on", "text" FROM "complaint book" WHERE NOT hidden;

CREATE TABLE "every type" (
    "key" uuid PRIMARY KEY, created_at timestamptz NOT NULL,
    "smallint" smallint, "integer" integer, "bigint" bigint, "oid" oid, "numeric" numeric, "numeric(20,6)" numeric(20, 6),
    "real" real, "double" double precision, "boolean" boolean, "text" text, "varchar" varchar(9), "char" char(5),
    "name" name, "bytea" bytea, "uuid" uuid, "inet" inet, "cidr" cidr, "macaddr" macaddr, "json" json, "jsonb" jsonb,
    "date" date, "timestamp" timestamp, "timestamptz" timestamptz, "time" time, "timetz" timetz, "interval" interval,
    "money" money, "enum" "Mood", "domain" "share %", "bit" bit(8), "range" tstzrange, "point" point,
    "integers" integer[], "numerics" numeric[], "texts" text[], "instants" timestamptz[], "enums" "Mood"[], "domains" seat[]
);
CREATE INDEX ON "every type" (created_at);

INSERT INTO "Group" VALUES ('Chœur', 'chorus', 40), ('Orchestra "A"', 'orchestra', NULL), ('100 %', 'guests', 3);

-- Three nights: the house's night ends at 06:00 in Berlin, that is at 05:00 UTC in November.
INSERT INTO "Order"
SELECT 26, n, '2026-11-19 06:00+00'::timestamptz + n * interval '17 minutes',
       (ARRAY['Chœur', 'Orchestra "A"', '100 %'])[1 + n % 3], CASE WHEN n % 7 > 0 THEN 'B' || n END,
       CASE WHEN n % 2 = 0 THEN n % 100 + 0.25 END, 'Buyer ' || n, (n * 1.5)::numeric::money,
       CASE WHEN n % 5 = 0 THEN '2026-11-19 07:00+00'::timestamptz + n * interval '17 minutes' END
FROM generate_series(1, 240) AS n;
INSERT INTO "Order Line"
SELECT 26, n, line, '2026-11-19 06:00+00'::timestamptz + n * interval '17 minutes', 'table ' || line || E'\t"x"'
FROM generate_series(1, 240) AS n, generate_series(1, 2) AS line;
INSERT INTO happening
SELECT md5(n::text)::uuid, CASE WHEN n % 4 = 0 THEN 'perf' ELSE 'rehe' END,
       '2026-11-19 07:00'::timestamp + n * interval '41 minutes',
       CASE WHEN n % 6 > 0 THEN (ARRAY['Chœur', '100 %'])[1 + n % 2] END,
       (ARRAY['quiet', 'it''s loud', 'RIOT']::"Mood"[])[1 + n % 3], n * interval '1 minute', ARRAY[n, NULL, -n], '24:00'
FROM generate_series(1, 100) AS n;
INSERT INTO scan
SELECT n, '2026-11-19 06:00+00'::timestamptz + n * interval '7 minutes', ('2001:db8::' || n)::inet, 'A' || n, n % 9 > 0
FROM generate_series(1, 600) AS n;
INSERT INTO "complaint book"
SELECT n, '2026-11-19 08:00+00'::timestamptz + n * interval '3 hours', 'too loud: ' || n || ' %s', n % 4 = 0
FROM generate_series(1, 20) AS n;
INSERT INTO "every type"
SELECT md5('t' || n)::uuid, '2026-11-19 06:30+00'::timestamptz + n * interval '2 hours',
       n - 3, -n, 9223372036854775807 - n, 4294967295 - n, 1.00000000000000000001 * n, 12345678901234.000001 + n,
       0.1 + n, 1e300 / n, n % 2 = 0, E'a\\b\n' || n || '%(x)s :y {z}', 'ಕ' || n, 'c' || n,
       'n' || n, '\x00ff'::bytea, md5('u' || n)::uuid, '10.0.0.0/8', '2001:db8::/32', '08:00:2b:01:02:03',
       '{"a": 1.50, "b": [null]}', '{"a": 1.50}',
       '2200-02-28'::date + n, '1899-12-31 23:59:59.999999', '2100-01-01 00:00:00.000001+00',
       '23:59:59', '23:59:59+05:30', '1 year -3 days', '-12.34', 'it''s loud', 33.33, B'10101010',
       tstzrange('2026-01-01', NULL), '(1.5,-2)',
       ARRAY[1, NULL, n], ARRAY[0.1, NULL]::numeric[], ARRAY['', NULL, 'NULL', '{}'],
       ARRAY['2026-11-19 06:30:00.5+00', NULL]::timestamptz[], ARRAY['RIOT', NULL]::"Mood"[], ARRAY['A1', NULL]::seat[]
FROM generate_series(1, 34) AS n;
UPDATE "every type" SET "text" = NULL, "numeric" = 'NaN', "double" = '-Infinity', "integers" = '{}', "jsonb" = NULL,
    "timestamptz" = NULL, "uuid" = NULL WHERE "smallint" = 5;
RESET search_path;
