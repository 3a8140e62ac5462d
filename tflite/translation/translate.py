"""`edgernn translate`: sentences through a converted translator."""

import sys
from collections.abc import Iterable
from pathlib import Path

from pipeline.user_error import UserError
from tflite.translation.litert_translator import LiteRTTranslator
from tflite.translation.translator_artifact import read_translator

LARGEST_BEAM = 64


def translate(sentences: Iterable[str], folder: Path, beam: int = 1) -> None:
    """Prints a line for each sentence; what could not be read is told on stderr.

    Raises:
        UserError: there is no whole artefact in the folder, or `beam` is out of range.
    """
    if not 1 <= beam <= LARGEST_BEAM:
        raise UserError(f"--beam {beam}: expected a whole number from 1 to {LARGEST_BEAM}")
    translator = LiteRTTranslator(read_translator(folder))
    for number, sentence in enumerate(sentences, start=1):
        result = translator.translate(sentence, beam)
        if result.unknown:
            _warn(number, f"no sub-word for {' '.join(result.unknown)}; translated without")
        if result.dropped:
            longest = translator.tokenizer.longest
            _warn(number, f"{result.dropped} sub-words over {longest} were not read; cut it in two")
        print(result.text, flush=True)


def _warn(number: int, message: str) -> None:
    print(f"edgernn: sentence {number}: {message}", file=sys.stderr)
