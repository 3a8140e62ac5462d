"""The pairs that the Android app's tokenizer and loop are tested against."""

import json
import shutil

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import edgernn
from pipeline.text.unigram import UnigramTokenizer
from tflite.phone.translated_pairs import ODD, TEST_SENTENCES


def written_by_hand(folder, manifest, source):
    """The greedy loop of artifact.json's `how`, with the interpreter itself."""
    interpreter = Interpreter(
        str(folder / manifest["tflite"]),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    encode, decode = (interpreter.get_signature_runner(name) for name in ("encode", "decode"))
    record, token = manifest["tokenizer"], lambda index: np.array([index], np.int32)
    states = {
        state["name"]: np.full((1, *state["shape"]), state.get("zero_point", 0), state["dtype"])
        for state in manifest["signatures"]["encode"]["states"]
    }
    for index in [*source[: record["maximum_length"]][::-1], record["ids"]["end"]]:
        states = encode(token=token(index), **states)
        context = states.pop("context")
    written, last = [], record["ids"]["start"]
    for _ in range(record["maximum_length"]):
        states = decode(token=token(last), context=context, **states)
        (scores,) = (states.pop(name) for name in list(states) if name not in [*encode.get_output_details()])
        scores[0, record["never_generated"]] = -np.inf
        last = int(scores[0].argmax())
        if last == record["ids"]["end"]:
            break
        written.append(last)
    return written


@pytest.fixture(params=["as trained", "never ending"])
def build(request, built, tmp_path):
    """The build, as it is and with the end among what is never generated: that one writes whatever it has learned."""
    if request.param == "as trained":
        return built.build
    copy = tmp_path / "build"
    shutil.copytree(built.folder, copy / built.folder.name)
    path = copy / built.folder.name / "tflite" / "artifact.json"
    manifest = json.loads(path.read_text())
    manifest["tokenizer"]["never_generated"].append(manifest["tokenizer"]["ids"]["end"])
    path.write_text(json.dumps(manifest))
    return copy


def test_pairs_are_those_of_the_loop_by_hand(built, build, tmp_path):
    out = tmp_path / "assets"
    assert edgernn.main(["android-assets", str(built.scenario), "--build", str(build), "--out", str(out)]) == 0
    folder = out / "words"
    manifest, pairs = (json.loads((folder / name).read_text()) for name in ("artifact.json", "pairs.json"))
    record = manifest["tokenizer"]
    assert len(pairs["pairs"]) == TEST_SENTENCES + len(ODD)
    tokenizer = UnigramTokenizer.of(record)
    for pair in pairs["pairs"]:
        assert pair["source"] == tokenizer.encode(pair["sentence"])
        assert pair["written"] == (written_by_hand(folder, manifest, pair["source"]) if pair["source"] else [])
        assert pair["translation"] == tokenizer.decode(pair["written"])
        if record["ids"]["end"] in record["never_generated"]:
            assert len(pair["written"]) == (record["maximum_length"] if pair["source"] else 0)
