"""Two measured columns and a calendar one, two targets in another order than the columns, leads 2 and 3."""

from keras_models.feature_encoding import FeatureEncoding

PLAIN = FeatureEncoding(
    columns=("speed", "load", "hour"), units=("m/s", "N", "h"), mean=(10.0, -1.0), std=(2.0, 0.5), readings=None,
    cycles=((0, 24.0), (0, 12.0)), advance=(1.0,), targets=(1, 0), leads=(2, 3), non_negative=False)
