"""Rows to shards: read, reject, resample, split, measure and window recorded streams with Apache Beam."""

from pipeline.scenario import Scenario, load_scenario
from pipeline.user_error import UserError

__all__ = ["Scenario", "UserError", "load_scenario"]
