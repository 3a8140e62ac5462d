"""Apache Beam, imported without its warnings about Google Cloud clients that nobody here asked for.

The modules of this package say `from pipeline.quiet_beam import beam`.
"""

import logging

logging.disable(logging.WARNING)
import apache_beam as beam  # noqa: E402

logging.disable(logging.NOTSET)
logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # what goes wrong is raised, once

__all__ = ["beam"]
