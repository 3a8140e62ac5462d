"""Files that hold a model, of any Keras, and files that do not: a model, or one line."""

import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from keras_models.model_file import read_keras_model
from keras_models.supported_layers import check_model
from pipeline.user_error import UserError


def stack(of=keras, extra=()):
    return of.Sequential(
        [of.layers.InputLayer((None, 3), name="x"), of.layers.GRU(4, return_sequences=True, name="cell"), *extra,
         of.layers.Dense(2, name="head")],
        name="stack",
    )


def crossed():
    """Keras 2, two branches of equal shapes made in another order than they are joined."""
    x = tf_keras.Input((None, 3), name="x")
    first, second = (tf_keras.layers.GRU(4, return_sequences=True, name=name) for name in ("first", "second"))
    of_second, of_first = second(x), first(x)
    joined = tf_keras.layers.Concatenate()([of_first, of_second])
    return tf_keras.Model(x, [tf_keras.layers.Dense(2)(joined), tf_keras.layers.Dense(2)(of_second)])


def outputs(model):
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    return model.predict(x, verbose=0)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", [stack, lambda: stack(tf_keras), crossed], ids=["Keras 3", "Keras 2", "branches"])
def test_reads_what_keras_saved(tmp_path, make, suffix):
    model = make()
    model.save(tmp_path / f"model{suffix}")
    again = read_keras_model(tmp_path / f"model{suffix}")
    assert isinstance(again, keras.Model) and again.name == model.name
    check_model(again)
    for ours, theirs in zip(outputs(again), outputs(model), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(("saved_as", "named"), [("model.h5", "model.keras"), ("model.h5", "model.hdf5"),
                                                 ("model.keras", "model.h5"), ("model.keras", "model")])
def test_the_content_decides_not_the_name(tmp_path, saved_as, named):
    """TensorFlow 2.11 and older wrote HDF5 into `.keras`."""
    (tmp_path / "a").mkdir()
    stack(tf_keras).save(tmp_path / "a" / saved_as)
    shutil.move(tmp_path / "a" / saved_as, tmp_path / named)
    assert read_keras_model(tmp_path / named).name == "stack"


def message(path) -> str:
    with pytest.raises(UserError) as caught:
        read_keras_model(path, made_by="edgernn train demand")
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < 400
    return text


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("of", [keras, tf_keras])
def test_cut_short(tmp_path, name, share, of):
    path = tmp_path / name
    stack(of).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    text = message(path)
    assert "not a Keras model that can be loaded" in text and "make it again with `edgernn train demand`" in text


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_damaged_in_the_middle(tmp_path, name):
    """Flipped bytes are found by the checksums of zip; in HDF5 some hit a weight's value and cannot be seen."""
    path, rng = tmp_path / name, np.random.default_rng(0)
    stack().save(path)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(20):
        damaged = content.copy()
        places = rng.integers(0, len(content), 20)
        damaged[places] ^= rng.integers(1, 255, 20).astype(np.uint8)
        path.write_bytes(damaged.tobytes())
        try:
            assert isinstance(read_keras_model(path), keras.Model)
        except UserError as error:
            assert str(error).startswith(f"{path}: ")


def with_config(path, change):
    """Rewrites the configuration in a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["config.json"] = change(files["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("JSONDecodeError", lambda config: config[:50]),
        ("not a Keras model", lambda config: b"[1, 2]"),
        ("not a Keras model", lambda config: b"{}"),
        ("RecursionError|not a Keras model", lambda config: b"[" * 200_000),
        ("'nobody knows it'|NobodyKnows", lambda config: config.replace(b'"GRU"', b'"NobodyKnows"')),
        ("unit", lambda config: config.replace(b'"units": 4', b'"unitz": 4')),
        ("not a Keras model", lambda config: config.replace(b'"units": 4', b'"units": -4')),
        ("not a Keras model", lambda config: config.replace(b'"units": 4', b'"units": 7')),
    ],
)
def test_another_configuration(tmp_path, words, change):
    import re

    path = tmp_path / "model.keras"
    stack().save(path)
    with_config(path, change)
    assert re.search(words, message(path))


def test_no_model(tmp_path):
    assert "not found; make it with `edgernn train demand`" in message(tmp_path / "none.keras")
    assert "is a folder" in message(tmp_path)
    (tmp_path / "text.keras").write_text("time,count\n")
    assert "neither a zip nor an HDF5 file" in message(tmp_path / "text.keras")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "config.json" in message(tmp_path / "other.keras")
    stack().save_weights(tmp_path / "only.weights.h5")
    assert "weights without a model" in message(tmp_path / "only.weights.h5")
    with h5py.File(tmp_path / "list.h5", "w") as file:
        file.attrs["model_config"] = json.dumps([1])
    assert "not a Keras model" in message(tmp_path / "list.h5")


@keras.saving.register_keras_serializable("known")
class KnownLayer(keras.layers.Layer):
    def call(self, x):
        return 2 * x


class UnknownLayer(keras.layers.Layer):
    def call(self, x):
        return 2 * x


class UnknownLegacyLayer(tf_keras.layers.Layer):
    def call(self, x):
        return 2 * x


class UnknownModel(keras.Model):
    def call(self, x):
        return 2 * x


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(("of", "make"), [(keras, UnknownLayer), (tf_keras, UnknownLegacyLayer)])
def test_a_custom_layer_is_named(tmp_path, of, make, suffix):
    path = tmp_path / f"model{suffix}"
    stack(of, [make(name="odd")]).save(path)
    assert f"layer 'odd' ({make.__name__}) is a custom layer" in message(path)


def test_a_custom_layer_within_another_is_named(tmp_path):
    stack(keras, [keras.layers.TimeDistributed(UnknownLayer(name="odd"))]).save(tmp_path / "model.keras")
    assert "layer 'odd' (UnknownLayer) is a custom layer" in message(tmp_path / "model.keras")


def test_a_custom_model_is_named(tmp_path):
    model = UnknownModel(name="odd")
    model(np.zeros((1, 2, 3), np.float32))
    model.save(tmp_path / "model.keras")
    assert "UnknownModel" in message(tmp_path / "model.keras")


def test_a_registered_layer_is_left_to_the_check(tmp_path):
    stack(keras, [KnownLayer(name="odd")]).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="'odd' .KnownLayer. is a custom layer"):
        check_model(read_keras_model(tmp_path / "model.keras"))


MARK = []


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("of", [keras, tf_keras])
def test_code_in_the_file_is_not_run(tmp_path, of, suffix):
    path = tmp_path / f"model{suffix}"
    stack(of, [of.layers.Lambda(lambda x: (__import__("test_model_file").MARK.append(1), 2 * x)[1],
                                output_shape=(None, 4), name="odd")]).save(path)
    MARK.clear()
    assert "layer 'odd' (Lambda) runs Python code" in message(path)
    assert not MARK
