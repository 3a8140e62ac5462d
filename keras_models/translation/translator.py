"""The translator: encoder, context vector, decoder; the same lines in float32 and quantization-aware."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_models.numeric_form import NumericForm
from keras_models.step_layers import StepDense, StepLayer
from keras_models.translation.shared_table import SharedTable, StepTied, StepTokens
from keras_models.translation.step_context import StepContext
from keras_models.translation.step_decoder import StepDecoder
from keras_models.translation.step_encoder import StepEncoder
from pipeline.text.unigram import END, PAD, START, UNKNOWN

NEVER = (PAD, UNKNOWN, START)  # are no translation


@keras.saving.register_keras_serializable("edgernn")
class Translator(keras.Model):
    """Source and target sub-words (batch, timesteps), padded with 0, to scores of the next, (batch, timesteps, pieces).

    The encoder reads the source and END; the decoder begins in its last state, is given a context of it at every step
    and reads START and the target. What leaves the decoder is int16 in the integer forms: scores of int8 would tie.

    Args:
        attention: the decoder looks its context up anew at every step, among those of all states of the encoder;
            otherwise it is given that of the last.
        form: of both recurrent layers: the numbers they compute with, or its fields.
        dropout: of what the recurrent layers read and what the decoder puts out.
    """

    def __init__(
        self,
        pieces: int,
        units: int,
        embedding: int,
        dropout: float = 0.0,
        attention: bool = False,
        form: NumericForm | dict | str = "float32",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pieces, self.units, self.embedding, self.attention = pieces, units, embedding, attention
        self.dropout, self.seed = dropout, seed
        self.form = NumericForm(**form) if isinstance(form, dict) else NumericForm(form) if form == "float32" else form
        self.wide = self.form if self.form.is_float else NumericForm("int16")
        self.table = SharedTable(pieces, embedding, name="table")
        self.encoder, self.decoder = self._encoder(), self._decoder()
        self.built = True

    def _encoder(self) -> keras.Model:
        """Sub-words -> [the state after the last of them, (batch, units), and its context, (batch, embedding)]; with
        attention the contexts after each of them, (batch, timesteps, embedding): the memory.
        """
        source = keras.Input((None,), dtype="int32", name="source")
        x = StepTokens(self.form, self.table, padded=True, name="source_tokens")(source)
        x = layers.Dropout(self.dropout, seed=self.seed, name="source_dropout")(x)
        h = StepEncoder(self.form, "gru", self._cell, return_sequences=self.attention, name="encoder_gru")(x)
        context = StepContext(self.form, self.embedding, name="context")(h)
        return keras.Model(source, [h[:, -1] if self.attention else h, context], name="encoder")

    def _decoder(self) -> keras.Model:
        """Sub-words, first state and context -> scores, and the state after each with the context beside it. With
        attention it is given the memory instead of a context, and of how many sub-words that is, (batch, 1).
        """
        target = keras.Input((None,), dtype="int32", name="target")
        state = keras.Input((self.units,), name="state")
        x = StepTokens(self.form, self.table, name="target_tokens")(target)
        x = layers.Dropout(self.dropout, seed=self.seed + 1, name="target_dropout")(x)
        if self.attention:
            given = [keras.Input((None, self.embedding), name="memory"), keras.Input((1,), name="filled")]
        else:
            given = [keras.Input((self.embedding,), name="context")]
        h = StepDecoder(self.form, "gru", self._cell, attention=self.attention, name="decoder_gru")([x, state, *given])
        y = layers.Dropout(self.dropout, seed=self.seed + 2, name="output_dropout")(h)
        narrow = StepDense(self.wide, self.embedding, name="narrow")(y)
        scores = StepTied(self.wide, self.table, name="scores")(narrow)
        return keras.Model([target, state, *given], [scores, h], name="decoder")

    @property
    def _cell(self) -> dict:
        return {"units": self.units, "full_state": True}

    @property
    def layers(self) -> list:
        """Of encoder and decoder: what calibration walks."""
        return [*self.encoder.layers, *self.decoder.layers]

    @property
    def step_layers(self) -> list[StepLayer]:
        return [layer for layer in self.layers if isinstance(layer, StepLayer)]

    def call(self, inputs, training=None):
        source, target = inputs
        return self.decoder([target, *self._read(source, training)], training=training)[0]

    def _read(self, source, training=None) -> list:
        """What the decoder needs of a source beside its own sub-words."""
        kept = keras.tree.flatten(self.encoder(source, training=training))
        filled = tf.reduce_sum(tf.cast(tf.not_equal(source, PAD), tf.float32), axis=1, keepdims=True)
        return [*kept, filled] if self.attention else kept

    def quantized(self, form: NumericForm) -> "Translator":
        """The same weights in an integer form; its ranges are yet to be calibrated.

        Without dropout: fine-tuned towards the float model's own answers it would learn what dropout does to them.
        """
        config = {**self.get_config(), "dropout": 0.0, "form": _fields(form), "name": f"{self.name}_qat"}
        twin = Translator.from_config(config)
        theirs = twin._weights_by_name
        for name, weight in self._weights_by_name.items():
            theirs[name].assign(weight)
        return twin

    @property
    def _weights_by_name(self) -> dict:
        """What is learned in the float form, by layer and name."""
        float_weights = ("rows", "kernel", "recurrent_kernel", "query", "bias")
        layers = (self.table, *self.step_layers)
        return {(one.name, w.name): w for one in layers for w in one.weights if w.name in float_weights}

    def translate(self, sources: np.ndarray, longest: int) -> np.ndarray:
        """The likeliest sub-word after the likeliest, (batch, longest), 0 behind END.

        Args:
            sources: (batch, timesteps), each with END, padded with 0.
        """
        state, *kept = self._encode(tf.constant(sources))
        token, done, written = tf.fill((len(sources), 1), START), np.zeros(len(sources), bool), []
        for _ in range(longest):
            token, state = self._write(token, state, *kept)
            chosen = np.where(done, PAD, token.numpy()[:, 0])
            written.append(chosen)
            done |= chosen == END
            if done.all():
                break
        padding = [np.zeros(len(sources), np.int64)] * (longest - len(written))
        return np.stack(written + padding, axis=1)

    @tf.function(reduce_retracing=True)
    def _encode(self, sources):
        return self._read(sources, training=False)

    @tf.function(reduce_retracing=True)
    def _write(self, token, state, *kept):
        scores, states = self.decoder([token, state, *kept], training=False)
        banned = tf.reduce_sum(tf.one_hot(NEVER, self.pieces, on_value=np.inf, off_value=0.0), axis=0)
        return tf.argmax(scores[:, -1] - banned, axis=-1, output_type=tf.int32)[:, None], states[:, -1, : self.units]

    def get_config(self):
        names = ("pieces", "units", "embedding", "dropout", "attention", "seed")
        return {"name": self.name, **{name: getattr(self, name) for name in names}, "form": _fields(self.form)}


def _fields(form: NumericForm) -> dict:
    return {"activations": form.activations, "state_dtype": form.state_dtype}
