-- The warehouse's role: it may do in its own database what a run does, and nothing outside of it.
-- Run once, as an administrator; then set a password of your own.
CREATE DATABASE IF NOT EXISTS sentinel;
CREATE USER IF NOT EXISTS sentinel_etl IDENTIFIED WITH sha256_password BY 'change-me' DEFAULT DATABASE sentinel;

-- Tables, staging tables and views: made, filled, read and dropped.
GRANT SHOW, SELECT, INSERT, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW ON sentinel.* TO sentinel_etl;

-- Rows taken out of a clone, whose merges are stopped; parts attached and merged; columns and projections added.
GRANT ALTER DELETE, ALTER SETTINGS, ALTER ADD COLUMN, ALTER PROJECTION, OPTIMIZE ON sentinel.* TO sentinel_etl;

-- What exists, in how many parts, and what the server can do.
GRANT SELECT ON system.databases TO sentinel_etl;
GRANT SELECT ON system.merge_tree_settings TO sentinel_etl;
GRANT SELECT ON system.tables TO sentinel_etl;
GRANT SELECT ON system.columns TO sentinel_etl;
GRANT SELECT ON system.parts TO sentinel_etl;

-- Only where the server's table_engines_require_grant is on.
GRANT TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree TO sentinel_etl;
