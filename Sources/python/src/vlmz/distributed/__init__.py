"""A dataset of pictures becomes embeddings, classes or answers, on the machines of a Ray cluster.

Needs the extra `distributed`: `pip install vlmz[distributed]`. docs/clusters.md says how to start a
cluster, and what is lost when a part of it dies: nothing.
"""

from __future__ import annotations

from ._job import JobChangedError, PartFailedError, Progress, Summary
from ._ray import map_images
from ._tasks import Answer, Classify, Embed, Task

__all__ = [
    "Answer",
    "Classify",
    "Embed",
    "JobChangedError",
    "PartFailedError",
    "Progress",
    "Summary",
    "Task",
    "map_images",
]
