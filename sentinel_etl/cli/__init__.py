"""The command `sentinel-etl`."""
