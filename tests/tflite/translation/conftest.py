"""A tiny translation that went the whole road once."""

import pytest
from tiny_scenarios import EVERY_STAGE, run_stages
from tiny_translation import translation_scenario


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    return run_stages(translation_scenario(folder), folder / "build", EVERY_STAGE)
