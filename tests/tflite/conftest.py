"""Small step models, written once per test run."""

import pytest
from step_models import delay_line_step, quantized_gru_step, running_sum_step


@pytest.fixture(scope="session")
def gru_model() -> bytes:
    """Raw float in and out, int8 inside; subgraph order reversed against the signature's."""
    return quantized_gru_step(position_order="reversed")


@pytest.fixture(scope="session")
def integer_gru_model() -> bytes:
    """The same network and weights with int8 ends."""
    return quantized_gru_step(float_io=False)


@pytest.fixture(scope="session")
def delay_model() -> bytes:
    return delay_line_step()


@pytest.fixture(scope="session")
def sum_model() -> bytes:
    return running_sum_step()
