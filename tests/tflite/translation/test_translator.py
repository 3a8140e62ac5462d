"""A translator in every form: what Keras says is what the file says, and what two GRUs by hand say."""

import json

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_models.model_folder import load_model
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate
from keras_models.translation.pair_batches import PairBatches
from keras_models.translation.translator import Translator
from pipeline.text.pair_shards import references
from pipeline.text.unigram import END, PAD, START, UNKNOWN, UnigramTokenizer
from tflite.report.key_figures import metric_text
from tflite.runtimes import load_model as load_step_model
from tflite.translation.convert_translator import convert_translator
from tflite.translation.litert_translator import LiteRTTranslator
from tflite.translation.translator_artifact import read_translator

SOURCE = np.array([[7, 5, 9, END], [6, 8, END, PAD]], np.int32)
TARGET = np.array([[START, 4, 9, 10, 6], [START, 11, 5, 5, 8]], np.int32)
TOKENIZER = {"maximum_length": 6, "pieces": []}
FORMS = [NumericForm("float32"), NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16")]


@pytest.fixture(scope="module")
def plain() -> Translator:
    model = Translator(pieces=12, units=8, embedding=6, dropout=0.2, seed=3)
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:  # also biases, which begin at zero
        weight.assign(random.normal(size=weight.shape, scale=0.6))
    return model


@pytest.fixture(scope="module")
def attentive() -> Translator:
    model = Translator(pieces=12, units=8, embedding=6, attention=True, seed=3)
    random = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(random.normal(size=weight.shape, scale=0.6))
    return model


@pytest.fixture(scope="module", params=FORMS, ids=lambda form: form.name)
def model(plain, request) -> Translator:
    return plain if request.param.is_float else calibrated(plain, request.param)


def calibrated(model: Translator, form: NumericForm) -> Translator:
    twin = model.quantized(form)
    calibrate(twin, [[SOURCE, TARGET]])
    return twin


def eagerly(model: Translator, source=SOURCE, target=TARGET) -> np.ndarray:
    """The scores of a model; nothing is compiled."""
    return np.asarray(model([source, target], training=False))


def gru_by_hand(xs, h, kernel, recurrent, bias, context=lambda h: ()):
    """Cho et al. 2014 with the reset gate after the product, gates z, r, n side by side; the states after each step.

    The context, by the state before, stands beside that in its products: their rows behind those of the state are C,
    C_z and C_r.
    """
    states = []
    for x in xs:
        told = np.concatenate([h, context(h)])
        (xz, xr, xn), (hz, hr, hn) = np.split(x @ kernel + bias[0], 3), np.split(told @ recurrent + bias[1], 3)
        z, r = 1 / (1 + np.exp(-(xz + hz))), 1 / (1 + np.exp(-(xr + hr)))
        h = z * h + (1 - z) * np.tanh(xn + r * hn)
        states.append(h)
    return np.array(states)


def test_float_translator_is_two_grus_a_context_and_one_table(plain):
    weights = {f"{layer.name}/{w.name}": np.asarray(w, np.float64) for layer in plain.layers for w in layer.weights}
    table = np.asarray(plain.table.rows, np.float64)
    names = ("kernel", "recurrent_kernel", "bias")
    gru = {part: [weights[f"{part}_gru/{name}"] for name in names] for part in ("encoder", "decoder")}
    said = eagerly(plain)
    for row, (source, target) in enumerate(zip(SOURCE, TARGET, strict=True)):
        first = gru_by_hand(table[source[source != PAD]], np.zeros(8), *gru["encoder"])[-1]
        context = np.tanh(first @ weights["context/kernel"])
        states = gru_by_hand(table[target], first, *gru["decoder"], lambda _, context=context: context)
        beside = np.concatenate([states, np.tile(context, (len(states), 1))], axis=1)
        hidden = beside @ weights["narrow/kernel"] + weights["narrow/bias"]
        np.testing.assert_allclose(said[row], hidden @ table.T + weights["scores/bias"], atol=2e-5)


def test_sub_words_weigh_at_the_beginning_as_inputs_of_a_keras_gru_do():
    model = Translator(pieces=400, units=64, embedding=48, seed=3)
    plain_gru = keras.layers.GRU(64)
    plain_gru.build((None, None, 48))
    wanted = np.std(np.random.default_rng(0).normal(size=(400, 48)) @ np.asarray(plain_gru.cell.kernel))
    for layer in model.step_layers:
        if layer.name in ("encoder_gru", "decoder_gru"):
            assert np.std(np.asarray(model.table.rows) @ np.asarray(layer.kernel)) == pytest.approx(wanted, rel=0.1)


def test_attention_looks_at_all_of_the_source_and_at_no_padding(attentive):
    """Bahdanau et al. 2015, equations 4 to 6, likeness the product (Luong et al. 2015, "dot")."""
    weights = {f"{layer.name}/{w.name}": np.asarray(w, np.float64) for layer in attentive.layers for w in layer.weights}
    names, table = ("kernel", "recurrent_kernel", "bias"), np.asarray(attentive.table.rows, np.float64)
    gru = {part: [weights[f"{part}_gru/{name}"] for name in names] for part in ("encoder", "decoder")}
    said = eagerly(attentive)
    for row, (source, target) in enumerate(zip(SOURCE, TARGET, strict=True)):
        read = gru_by_hand(table[source[source != PAD]], np.zeros(8), *gru["encoder"])
        memory, query = np.tanh(read @ weights["context/kernel"]), weights["decoder_gru/query"]

        def looked_up(h, memory=memory, query=query):
            shares = np.exp(memory @ (h @ query))
            return shares / shares.sum() @ memory

        states = gru_by_hand(table[target], read[-1], *gru["decoder"], looked_up)
        contexts = [looked_up(h) for h in [read[-1], *states[:-1]]]
        beside = np.concatenate([states, contexts], axis=1)
        hidden = beside @ weights["narrow/kernel"] + weights["narrow/bias"]
        np.testing.assert_allclose(said[row], hidden @ table.T + weights["scores/bias"], atol=2e-5)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_an_attentive_model_writes_what_keras_writes(attentive, form):
    model = attentive if form.is_float else calibrated(attentive, form)
    pieces = [[f"p{i}", -1.0] for i in range(12)]
    record = UnigramTokenizer(tuple(map(tuple, pieces)), 3).record()
    translator = LiteRTTranslator(convert_translator(model, record, "attentive"))
    for source in SOURCE:
        ids = translator.write([i for i in source if i not in (PAD, END)][::-1])  # it reads the last one first
        scores = eagerly(model, source[None], np.array([[START, *ids]]))[0].copy()
        scores[:, [PAD, UNKNOWN, START]] = -np.inf
        assert [*ids, END][:3] == scores.argmax(-1).tolist()[:3]


def by_file(content: bytes, source, target, kernels=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES) -> np.ndarray:
    """The scores after each target sub-word, by LiteRT alone."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    encode, decode = (interpreter.get_signature_runner(name) for name in ("encode", "decode"))
    detail = encode.get_input_details()["h0"]
    states = {"h0": np.zeros(detail["shape"], detail["dtype"])}
    for token in source[source != PAD]:
        states = encode(token=np.array([token], np.int32), **states)
        context = states.pop("context")
    scores = []
    for token in target:
        states = decode(token=np.array([token], np.int32), context=context, **states)
        scores.append(states.pop("scores")[0])
    return np.array(scores)


def test_keras_says_what_the_file_says(model):
    content = convert_translator(model, TOKENIZER, "tiny").tflite
    said = eagerly(model)
    found = np.array([by_file(content, *pair) for pair in zip(SOURCE, TARGET, strict=True)])
    quantum = 1e-5 if model.form.is_float else model.decoder.get_layer("scores").quantizers["output"].affine.scale
    assert np.abs(said - found).max() <= quantum  # FULLY_CONNECTED rounds the last of 16 bits its own way
    assert (said.argmax(-1) == found.argmax(-1)).all()


def test_context_stands_beside_every_state_as_it_was_given(model):
    state, context = model.encoder(SOURCE)
    _, beside = model.decoder([keras.ops.convert_to_tensor(TARGET), state, context])
    np.testing.assert_array_equal(beside[..., 8:], np.repeat(np.asarray(context)[:, None], TARGET.shape[1], axis=1))


@pytest.mark.parametrize("model", [f for f in FORMS if not f.is_float], ids=lambda form: form.name, indirect=True)
def test_states_and_context_are_the_same_integers_in_keras_and_tflite_micro(model):
    encode = load_step_model(convert_translator(model, TOKENIZER, "tiny").micro["encode"], "tflm")
    for source, state, context in zip(SOURCE, *map(np.asarray, model.encoder(SOURCE)), strict=True):
        encode.reset()
        for token in source[source != PAD]:
            given = encode.step({"token": np.array(token, np.int32)})
        (spec,) = encode.state_specs
        np.testing.assert_array_equal(given, context)
        assert (encode.states["h0"] * np.float32(spec.scale) == state).all()


def test_padding_changes_nothing(plain):
    longer = np.concatenate([SOURCE, np.zeros((2, 5), np.int32)], axis=1)
    np.testing.assert_array_equal(plain.translate(SOURCE, 6), plain.translate(longer, 6))


def test_greedy_is_the_likeliest_after_the_likeliest(plain):
    written = plain.translate(SOURCE, 6)
    for row in range(2):
        ended, target = False, np.array([[START, *written[row][:-1]]])
        said = eagerly(plain, SOURCE[row : row + 1], target)[0].copy()
        for token, scores in zip(written[row], said, strict=True):
            scores[[0, 1, 2]] = -np.inf
            assert token == (PAD if ended else scores.argmax())
            ended |= token == END


def test_the_table_is_stored_once(model):
    content = convert_translator(model, TOKENIZER, "tiny").tflite
    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    kind = "float32" if model.form.is_float else "int8"
    size = 12 * 6 * np.dtype(kind).itemsize
    tables = [b.data for b in parsed.buffers if b.data is not None and len(b.data) == size]
    assert len({bytes(table) for table in tables}) == len(tables)
    shared = [{t.buffer for t in graph.tensors if tuple(t.shape) == (12, 6)} for graph in parsed.subgraphs]
    assert len(shared) == 2 and len(shared[0]) == 1 and shared[0] == shared[1]


def test_states_of_both_signatures_have_one_form(model):
    signatures = convert_translator(model, TOKENIZER, "tiny").manifest["signatures"]
    assert signatures["encode"]["states"] == signatures["decode"]["states"]
    assert [state["name"] for state in signatures["encode"]["states"]] == ["h0"]


def test_conversion_is_deterministic(model):
    first, second = (convert_translator(model, TOKENIZER, "tiny") for _ in range(2))
    assert first.tflite == second.tflite and first.micro == second.micro


@pytest.mark.parametrize("road, arena", [("built", 9216), ("built_with_attention", 12000)])
def test_every_stage_of_the_road(road, arena, request):
    built = request.getfixturevalue(road)
    assert built.status.pop("gates") in (0, 1) and set(built.status.values()) == {0}
    record = json.loads((built.folder / "validation.json").read_text())["models"][0]
    assert record["identity"]["float"] == 1.0  # LiteRT's float32 against Keras
    parity = {(pair["runtime"], pair["signature"]): pair for pair in record["parity"]}
    assert all(parity["litert (reference)", signature]["max_lsb"] <= 1 for signature in ("encode", "decode"))
    if road == "built":
        assert all(parity["litert (builtin)", signature]["max_lsb"] <= 1 for signature in ("encode", "decode"))
    else:  # its softmax differs in the last bit of a real number, which now and then is another integer of the context
        assert parity["litert (builtin)", "decode"]["mismatched"] < 0.01
    assert max(record["memory"]["signatures"].values()) == record["memory"]["arena_bytes"] < arena
    page = (built.folder / "report.html").read_text()
    assert "nearest training sentence" in page and "chi" in page
    card = (built.folder / "tflite" / "model_card.md").read_text()
    assert f"| shipped | {metric_text('bleu', record['metric']['quantized'])} |" in card
    assert "## Must not be used for" in card and (built.folder / "tflite/ptq/model_card.md").is_file()


def test_training_reads_a_sentence_from_its_last_sub_word_on(built):
    folder = built.folder / "dataset"
    dataset = json.loads((folder / "dataset.json").read_text())
    tokenizer = UnigramTokenizer.of(dataset["tokenizer"])
    sentences = {tuple(tokenizer.encode(sentence)) for sentence in references(folder, dataset["files"], "train")}
    batches = PairBatches(folder, dataset, "train", 4)
    rows = [row.tolist() for (sources, _), _ in batches for row in sources]
    read = {tuple(row[: row.index(END)]) for row in rows if END in row}
    assert {ids[::-1] for ids in read} == sentences != read
    assert batches.dataset().options().autotune.enabled is False  # see `keras_models.untuned_data`


def test_a_saved_model_says_the_same(built):
    plain = load_model(built.folder / "model" / "gru.keras", "train")
    twin = load_model(built.folder / "model" / "gru_qat.keras", "quantize")
    artifact = read_translator(built.folder / "tflite")
    assert convert_translator(twin, artifact.manifest["tokenizer"], artifact.manifest["name"]).tflite == artifact.tflite
    assert plain.form.is_float and twin.form.name == "int8"
