"""Models on emulated ARM64; without the tools these tests are skipped, each with the reason."""

import pytest

from pipeline.user_error import UserError
from tflite.arm64.emulated_litert import EMULATOR
from tflite.firmware.toolchain import instruction_counter, tool


@pytest.fixture(scope="session")
def tools():
    try:
        tool(EMULATOR), tool("aarch64-linux-gnu-gcc"), instruction_counter()
    except UserError as missing:
        pytest.skip(str(missing))
