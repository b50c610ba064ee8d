"""What the promises are tried with: killed runs, cut connections, crowds, hostile texts."""
