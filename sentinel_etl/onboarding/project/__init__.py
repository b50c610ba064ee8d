"""A project for another team's database: a folder with its pipeline, written once from the live source."""
