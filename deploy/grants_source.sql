-- The source's role: it may read the tables that EVENT_CONFIG names, and nothing else.
-- Run once, in the source database, as its owner; then set a password of your own.
CREATE ROLE sentinel_reader LOGIN PASSWORD 'change-me'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 10;

-- A second line of defence: a slip in a statement is refused before rights are asked.
ALTER ROLE sentinel_reader SET default_transaction_read_only = on;

GRANT USAGE ON SCHEMA public TO sentinel_reader;
GRANT SELECT ON
    patrols, patrol_logs, remarks, vehicle_checks, stranger_encounters, emergency_incidents, feedback, geofence_logs
    TO sentinel_reader;
