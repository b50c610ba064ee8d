"""``python -m sentinel_etl`` is ``sentinel-etl``."""

from sentinel_etl.cli.main import main

if __name__ == "__main__":
    main()
