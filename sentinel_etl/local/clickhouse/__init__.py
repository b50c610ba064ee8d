"""The real ClickHouse engine behind an endpoint that speaks ClickHouse's HTTP interface."""
