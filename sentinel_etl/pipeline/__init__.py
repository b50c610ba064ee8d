"""What another team swaps: `Pipeline`, its check, and how the settings' one is found."""

from sentinel_etl.pipeline.load_pipeline import SENTINEL, load_pipeline
from sentinel_etl.pipeline.pipeline import Pipeline

__all__ = ["SENTINEL", "Pipeline", "load_pipeline"]
