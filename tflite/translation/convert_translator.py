"""A translator to its artefact."""

import hashlib
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from keras_models.translation.translator import Translator
from tflite.arena_order import ordered_for_arena
from tflite.artifact import FORMAT
from tflite.flatbuffer import write_flatbuffer, write_signatures
from tflite.runtimes.step_signature import STEP
from tflite.step_graph import StepGraph
from tflite.translation.lower_translator import lower_translator
from tflite.translation.translator_artifact import TranslatorArtifact

HOW = (
    "text -> tokenizer -> at most maximum_length sub-words, the last of them first, then source_ends_with; states begin"
    " at real 0; call encode with each; call decode with start, then with what was chosen, its states those encode"
    " ended in; choose the highest score but never_generated; stop at end or after maximum_length"
)
HOW_CONTEXT = "; decode's context is the one encode gave last"
HOW_ATTENTION = "; what encode gives as memory are the rows of decode's memory from the first on, filled their number"


def convert_translator(model: Translator, tokenizer: dict[str, Any], name: str) -> TranslatorArtifact:
    """Converts a translator, float32 or calibrated.

    Args:
        tokenizer: its record in artifact.json.

    Raises:
        ValueError: weights hold NaN, or a range was never observed.
    """
    graphs = lower_translator(model, tokenizer["maximum_length"])
    content = write_signatures(graphs)
    small = {signature: ordered_for_arena(_integer_outputs(graph)) for signature, graph in graphs.items()}
    micro = {signature: write_flatbuffer(graph) for signature, graph in small.items()}
    manifest = {
        "format": FORMAT,
        "task": "translate",
        "name": name,
        **_file(f"{name}.tflite", content),
        "cell": "gru",
        "activations": model.form.activations,
        **({"state_dtype": model.form.state_dtype} if model.form.state_dtype else {}),
        "weights": "float32" if model.form.is_float else "int8",
        "state": "external",
        "signatures": {signature: _ends(graph) for signature, graph in graphs.items()},
        "micro": {
            signature: {**_file(f"{signature}.tflite", micro[signature]), "signature": STEP, **_ends(graph)}
            for signature, graph in small.items()
        },
        "how": HOW + (HOW_ATTENTION if model.attention else HOW_CONTEXT),
        "tokenizer": tokenizer,
        "versions": {package: version(package) for package in ("tensorflow", "keras", "ai-edge-litert")},
    }
    return TranslatorArtifact(content, micro, manifest)


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {"tflite": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _integer_outputs(graph: StepGraph) -> StepGraph:
    """Without the DEQUANTIZE before each output: a float of every score is what an arena has no room for."""
    before = {op.outputs[0]: op for op in graph.ops if op.kind == "DEQUANTIZE"}
    gone = {tensor for _, tensor in graph.outputs if tensor in before}
    return replace(
        graph,
        tensors=tuple(tensor for tensor in graph.tensors if tensor.name not in gone),
        ops=tuple(op for op in graph.ops if not gone.intersection(op.outputs)),
        outputs=tuple((name, before[t].inputs[0] if t in gone else t) for name, t in graph.outputs),
    )


def _ends(graph: StepGraph) -> dict[str, list]:
    """inputs, outputs and states of a signature; shapes without the batch of 1."""

    def end(name, tensor):
        tensor = graph.tensor(tensor)
        affine = {"scale": tensor.affine.scale, "zero_point": tensor.affine.zero_point} if tensor.affine else {}
        return {"name": name, "shape": list(tensor.shape[1:]), "dtype": tensor.dtype, **affine}

    return {
        "inputs": [end(*pair) for pair in graph.inputs],
        "outputs": [end(*pair) for pair in graph.outputs],
        "states": [end(name, read) for name, read, _ in graph.states],
    }
