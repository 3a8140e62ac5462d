"""A translator to two step graphs: `encode` reads a sub-word into the state, `decode` writes one out of it."""

import keras

from keras_models.translation.translator import Translator
from tflite.graph_operators import dequantize
from tflite.lower_model import lower_model
from tflite.step_graph import ABSENT, StepGraph, StepGraphBuilder
from tflite.translation.signatures import CONTEXT, DECODE, ENCODE, FILLED, MEMORY, SCORES, TOKEN


def lower_translator(model: Translator, longest: int) -> dict[str, StepGraph]:
    """The graph of each signature. The state h0 of `decode` begins as that of `encode` ended: one name and form.

    Args:
        longest: sub-words of a sentence; with attention the memory has a row for each, and for END.

    Raises:
        ValueError: weights hold NaN, or a range was never observed.
    """
    encode = _encode(model)
    graphs = {ENCODE: encode, DECODE: _decode(model, encode, longest + 1)}
    before, after = (
        [(name, (t := graph.tensor(read)).shape, t.dtype, t.affine) for name, read, _ in graph.states]
        for graph in graphs.values()
    )
    if before != after:
        raise ValueError(f"the states of encoder and decoder differ: {before}, {after}")
    return graphs


def _encode(model: Translator) -> StepGraph:
    builder, token = _begun()
    kept = model.encoder.outputs[-1]
    (row,) = lower_model(builder, keras.Model(model.encoder.inputs, kept), {"source": token})
    builder.outputs.append((_given(model), row))  # as it is: it is passed on, not read
    return builder.build()


def _decode(model: Translator, encode: StepGraph, places: int) -> StepGraph:
    builder, token = _begun()
    name, sources = _given(model), {"target": token, "state": ABSENT}
    row = encode.tensor(dict(encode.outputs)[name])
    shape = (1, places, row.shape[-1]) if model.attention else row.shape
    given = builder.tensor(f"input/{name}", shape=shape, affine=row.affine)
    builder.inputs.append((name, given))
    sources[name] = given
    if model.attention:
        filled = builder.tensor(f"input/{FILLED}", 1, dtype="int32")
        builder.inputs.append((FILLED, filled))
        sources[FILLED] = builder.op("CAST", [filled], builder.tensor("filled", 1))
    scores = lower_model(builder, model.decoder, sources)[0]
    builder.outputs.append((SCORES, dequantize(builder, scores)))
    return builder.build()


def _given(model: Translator) -> str:
    """What `encode` has for `decode` beside the state."""
    return MEMORY if model.attention else CONTEXT


def _begun() -> tuple[StepGraphBuilder, str]:
    builder = StepGraphBuilder()
    token = builder.tensor(f"input/{TOKEN}", shape=(1,), dtype="int32")
    builder.inputs.append((TOKEN, token))
    return builder, token
