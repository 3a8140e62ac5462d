"""Images on emulated cores; without the tools these tests are skipped, each with the reason."""

import pytest

from pipeline.user_error import UserError
from tflite.firmware.cores import CORES
from tflite.firmware.emulator import replay
from tflite.firmware.image import build, write_sources
from tflite.firmware.toolchain import require_tools


@pytest.fixture(scope="session")
def tools():
    try:
        require_tools()
    except UserError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def replayed(tools, tmp_path):
    """(C, core, steps) -> what its replay said."""

    def run(source, core, steps):
        write_sources(source, tmp_path, CORES[core])
        return replay(build(tmp_path, CORES[core], "replay", [f"-DSTEPS={steps}"]), CORES[core], steps)

    return run
