"""Which source types go into which fact types without loss, and how."""
