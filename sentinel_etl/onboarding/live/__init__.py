"""What a live table of the source is: its columns, keys, references, partitions, and statistics of a sample."""
