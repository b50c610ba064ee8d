"""What a statement may not reach: data for :mod:`sentinel_etl.local.clickhouse.sql_guard`."""

from __future__ import annotations

__all__ = ["DENIED_ENGINES", "DENIED_FUNCTIONS", "DENIED_STATEMENTS"]


# Functions and table functions that reach files, processes, the network or this process's own
# Python objects. The value is the name to give to ``allow`` where one may be allowed.
DENIED_FUNCTIONS: dict[str, str | None] = {
    "arrowflight": None,
    "azureblobstorage": None,
    "azureblobstoragecluster": None,
    "cluster": None,
    "clusterallreplicas": None,
    "deltalake": None,
    "deltalakelocal": None,
    "deltalakes3": None,
    "disk": None,
    "executable": None,
    "file": "file",
    "filecluster": None,
    "gcs": None,
    "hdfs": None,
    "hdfscluster": None,
    "hudi": None,
    "iceberg": None,
    "iceberglocal": None,
    "icebergs3": None,
    "jdbc": None,
    "mongodb": None,
    "mysql": "mysql",
    "odbc": None,
    "paimon": None,
    "paimonlocal": None,
    "postgresql": "postgresql",
    "prometheusquery": None,
    "python": None,
    "redis": None,
    "remote": "remote",
    "remotesecure": "remote",
    "s3": "s3",
    "s3cluster": None,
    "sqlite": None,
    "url": "url",
    "urlcluster": None,
    "ytsaurus": None,
}

# Table and database engines that do the same. Most are refused by the engine's access rights too;
# Executable, ExecutablePool, FileLog and EmbeddedRocksDB are refused only here.
DENIED_ENGINES: dict[str, str | None] = {
    "arrowflight": None,
    "azureblobstorage": None,
    "azurequeue": None,
    "backup": None,
    "datalakecatalog": None,
    "deltalake": None,
    "deltalakelocal": None,
    "distributed": None,
    "embeddedrocksdb": None,
    "executable": None,
    "executablepool": None,
    "externaldistributed": None,
    "file": "file",
    "filelog": None,
    "filesystem": None,
    "hdfs": None,
    "hive": None,
    "hudi": None,
    "iceberg": None,
    "iceberglocal": None,
    "icebergs3": None,
    "jdbc": None,
    "kafka": None,
    "materializedpostgresql": None,
    "mongodb": None,
    "mysql": "mysql",
    "nats": None,
    "odbc": None,
    "postgresql": "postgresql",
    "python": None,
    "rabbitmq": None,
    "redis": None,
    "s3": "s3",
    "s3queue": None,
    "sqlite": None,
    "url": "url",
    "ytsaurus": None,
}

DENIED_STATEMENTS = frozenset({"backup", "restore"})
