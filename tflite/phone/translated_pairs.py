"""Sentences with their sub-words and translations, against which an app's tokenizer and loop are tested."""

from collections.abc import Sequence

from pipeline.dataset_folder import read_dataset
from pipeline.text.pair_shards import references
from pipeline.text.text_scenario import TextScenario
from tflite.translation.litert_translator import LiteRTTranslator
from tflite.translation.translator_artifact import TranslatorArtifact

TEST_SENTENCES = 24
# What people type: nothing, capitals, odd white space, a typographic apostrophe, a combining accent, unknown signs.
ODD = (
    "",
    "  ",
    "I AM HERE.",
    " a\tdog \u00a0\n runs ",
    "it\u2019s late",
    "cafe\u0301",
    "a \U0001f600\u4e2d dog",
    "\u0130",
    "a " * 40,
)


def translated_pairs(artifact: TranslatorArtifact, sentences: Sequence[str]) -> list[dict]:
    """Of each sentence `source` (all its sub-words), `written` and `translation`: greedy, by built-in kernels."""
    translator = LiteRTTranslator(artifact)
    said = [(sentence, translator.tokenizer.encode(sentence), translator.translate(sentence)) for sentence in sentences]
    return [
        {"sentence": sentence, "source": source, "written": list(result.ids), "translation": result.text}
        for sentence, source, result in said
    ]


def demo_sentences(scenario: TextScenario, build) -> list[str]:
    """Some of the test part, evenly over all of it, and what is odd."""
    folder, dataset = read_dataset(scenario, build)
    tested = list(references(folder, dataset["files"], "test"))
    return [*tested[:: max(len(tested) // TEST_SENTENCES, 1)][:TEST_SENTENCES], *ODD]
