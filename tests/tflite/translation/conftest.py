"""A tiny translation that went the whole road once."""

import pytest
from tiny_scenarios import EVERY_STAGE, run_stages
from tiny_translation import translation_scenario


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    return run_stages(translation_scenario(folder), folder / "build", EVERY_STAGE)


@pytest.fixture(scope="session")
def built_with_attention(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attention")
    scenario = translation_scenario(folder, ("embedding = 12", "embedding = 12\nattention = true"))
    return run_stages(scenario, folder / "build", EVERY_STAGE)
