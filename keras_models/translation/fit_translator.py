"""One round of training of a translator, float or quantization-aware, with teacher forcing."""

from pathlib import Path

import keras
import tensorflow as tf

from keras_models.fit_model import GRADIENT_NORM, LAST_RATE, BestWeights, EpochBar
from keras_models.translation.pair_batches import PairBatches
from keras_models.translation.translator import Translator
from pipeline.text.unigram import PAD


def fit_translator(
    model: Translator,
    train: PairBatches,
    validation: PairBatches,
    *,
    epochs: int,
    rate: float,
    warmup: int,
    smoothing: float,
    patience: int,
    logs: Path,
    teacher: Translator | None = None,
) -> list[dict[str, float]]:
    """Trains in place and leaves the weights of the best epoch by validation loss; returns a record per epoch.

    Args:
        rate: the highest, reached after `warmup` batches; it falls along a cosine.
        teacher: its probabilities are the targets, instead of the words themselves (Hinton et al. 2015).
    """
    batches = len(train) * epochs
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / max(warmup, 1), max(batches - warmup, 1), alpha=LAST_RATE, warmup_target=rate, warmup_steps=warmup
    )
    loss = next_piece_loss(smoothing) if teacher is None else distance_to_teacher
    model.compile(keras.optimizers.Adam(schedule, clipnorm=GRADIENT_NORM), loss=loss)
    data, held_out = (_taught(part.dataset(), teacher) for part in (train, validation))
    best = BestWeights(model.evaluate(held_out, verbose=0, return_dict=True)["loss"], patience)
    bar, guard = EpochBar(model.name, epochs), keras.callbacks.TerminateOnNaN()
    callbacks = [best, bar, keras.callbacks.TensorBoard(logs), guard]
    history = model.fit(
        data, validation_data=held_out, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks
    ).history
    best.restore(model)
    losses = zip(history["loss"], history["val_loss"], strict=True)
    return [{"epoch": i + 1, "loss": loss, "val_loss": val} for i, (loss, val) in enumerate(losses)]


def next_piece_loss(smoothing: float):
    """Cross entropy in nats per sub-word, padding left out; `smoothing` of the truth is spread over all sub-words."""

    def loss(truth, scores):
        log_shares = tf.nn.log_softmax(scores)
        truth = tf.cast(truth, tf.int32)  # Keras makes floats of targets
        right = tf.gather(log_shares, truth, batch_dims=2)
        if smoothing:
            right = (1 - smoothing) * right + smoothing * tf.reduce_mean(log_shares, axis=-1)
        return _mean(-right, tf.not_equal(truth, PAD))

    return loss


def distance_to_teacher(truth, scores):
    """Kullback-Leibler divergence of the model's next sub-word from the teacher's, in nats, padding left out.

    Args:
        truth: (batch, timesteps, 1 + pieces): the sub-word, and the teacher's scores.
    """
    known, wanted = tf.not_equal(truth[..., 0], PAD), tf.nn.log_softmax(truth[..., 1:])
    gap = tf.reduce_sum(tf.exp(wanted) * (wanted - tf.nn.log_softmax(scores)), axis=-1)
    return _mean(gap, known)


def _mean(values, known):
    known = tf.cast(known, values.dtype)
    return tf.reduce_sum(values * known) / tf.maximum(tf.reduce_sum(known), 1.0)


def _taught(batches: tf.data.Dataset, teacher: Translator | None) -> tf.data.Dataset:
    if teacher is None:
        return batches

    def answer(inputs, truth):
        return inputs, tf.concat([tf.cast(truth, tf.float32)[..., None], teacher(inputs, training=False)], axis=-1)

    return batches.map(answer)
