"""TensorFlow as the command line sets it up, and two tiny scenarios that went the whole road once."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# A shell lets what it starts in the background ignore interrupts, and children would take that over: tests send some.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module", autouse=True)
def forgotten_graphs():
    """TensorFlow keeps the gradient of every traced `tf.custom_gradient`, and with it the graph, as long as a process
    lives: gigabytes, in a worker that trains the models of many modules."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework.ops import gradient_registry

        names = [name for name in gradient_registry.list() if name.startswith("CustomGradient-")]
        for name in names:
            del gradient_registry._registry[name]
        gc.collect()


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Path:
    """Where the files of bucket:// lie, for workers in other processes too."""
    from tests.pipeline.bucket_file_system import FOLDER

    folder = tmp_path / "bucket"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    return folder


@pytest.fixture(scope="session")
def built_forecast(tmp_path_factory):
    from tiny_scenarios import EVERY_STAGE, forecast_scenario, run_stages

    folder = tmp_path_factory.mktemp("forecast")
    return run_stages(forecast_scenario(folder), folder / "build", EVERY_STAGE)


@pytest.fixture(scope="session")
def built_anomaly(tmp_path_factory):
    from tiny_scenarios import EVERY_STAGE, anomaly_scenario, run_stages

    folder = tmp_path_factory.mktemp("anomaly")
    return run_stages(anomaly_scenario(folder), folder / "build", EVERY_STAGE)
