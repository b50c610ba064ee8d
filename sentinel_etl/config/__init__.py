"""What a team edits, and what checks it: event types, weights, models of the source, the fact table."""
