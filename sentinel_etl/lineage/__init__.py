"""Where each fact column comes from, read off the pipeline: for people, and for a lineage server."""
