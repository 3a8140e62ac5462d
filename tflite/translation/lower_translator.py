"""A translator to two step graphs: `encode` reads a sub-word into the state, `decode` writes one out of it."""

from keras_models.translation.translator import Translator
from tflite.graph_operators import dequantize
from tflite.lower_model import lower_model
from tflite.step_graph import ABSENT, StepGraph, StepGraphBuilder
from tflite.translation.signatures import DECODE, ENCODE, SCORES, TOKEN


def lower_translator(model: Translator) -> dict[str, StepGraph]:
    """The graph of each signature. The state h0 of `decode` begins as that of `encode` ended: one name and form.

    Raises:
        ValueError: weights hold NaN, or a range was never observed.
    """
    graphs = {ENCODE: _encode(model), DECODE: _decode(model)}
    before, after = (
        [(name, (t := graph.tensor(read)).shape, t.dtype, t.affine) for name, read, _ in graph.states]
        for graph in graphs.values()
    )
    if before != after:
        raise ValueError(f"the states of encoder and decoder differ: {before}, {after}")
    return graphs


def _encode(model: Translator) -> StepGraph:
    builder, token = _begun()
    lower_model(builder, model.encoder, {"source": token})
    return builder.build()


def _decode(model: Translator) -> StepGraph:
    builder, token = _begun()
    scores = lower_model(builder, model.decoder, {"target": token, "state": ABSENT})[0]
    builder.outputs.append((SCORES, dequantize(builder, scores)))
    return builder.build()


def _begun() -> tuple[StepGraphBuilder, str]:
    builder = StepGraphBuilder()
    token = builder.tensor(f"input/{TOKEN}", 1, dtype="int32")
    builder.inputs.append((TOKEN, token))
    return builder, token
