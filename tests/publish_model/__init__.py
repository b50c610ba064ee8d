"""A model of how runs publish into one fact table, small enough to try every order of their statements.

A state holds the warehouse's tables, what each run has still to do, and the locks that its PostgreSQL session holds.
Each statement is one step. Between two steps of a run may come any step of another one, a kill, the loss of a session
or a restart of the warehouse; a run that did not end well is run again.

What is taken as given, each by its source:
- ``ATTACH PARTITION FROM`` adds all parts of a partition at once, and its source keeps them.
  https://clickhouse.com/docs/sql-reference/statements/alter/partition#attach-partition-from
- ``EXCHANGE TABLES`` is atomic in an Atomic database; ``DROP TABLE … SYNC`` waits for statements that use the table.
  https://clickhouse.com/docs/engines/database-engines/atomic
- A session's advisory locks are free when it ends, however it ends.
  https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS

Left out is what can only end a run sooner, as a kill does at any step: an audit or a count that fails, a lock that is
waited for too long, a definition that has changed.
"""
