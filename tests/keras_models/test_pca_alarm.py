"""Principal components by hand: two channels that move as one, a third of its own."""

import numpy as np

from keras_models.pca_alarm import fit_pca_alarm


def normal_rows(count=20_000, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=count)
    return np.stack([3 * common, 3 * common + 0.1 * rng.normal(size=count), 2 * rng.normal(size=count)], axis=1)


def test_far_along_a_component_is_t2_and_off_all_of_them_is_q():
    pca = fit_pca_alarm(normal_rows() + [5, 0, 0], 0.001)
    assert pca.components.shape == (2, 3)
    usual, far, apart = [5, 0, 0], [5 + 15, 15, 0], [5 + 1, -1, 0]
    assert pca.alarm(np.array([usual, far, apart], float)).tolist() == [False, True, True]


def test_its_false_alarms_are_at_most_those_of_both_limits():
    pca = fit_pca_alarm(normal_rows(), 0.01)
    assert 0.01 < pca.alarm(normal_rows(seed=1)).mean() < 0.022, "1 % each, nearly independent; sampled over 20,000"


def test_channels_that_never_moved():
    assert not fit_pca_alarm(np.zeros((50, 3)), 0.01).alarm(np.zeros((4, 3))).any()
