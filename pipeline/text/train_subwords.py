"""The sub-words of a text: a unigram model learned by sentencepiece on one thread, so that it is always the same."""

import io
from collections.abc import Iterable

from pipeline.text.unigram import CONTROL, END, PAD, START, UNKNOWN, UnigramTokenizer
from pipeline.user_error import UserError


def train_subwords(sentences: Iterable[str], pieces: int, longest: int) -> UnigramTokenizer:
    """Learns from normalized sentences, in the order given.

    Raises:
        UserError: the text cannot be cut into so many pieces.
    """
    return tokenizer_of(train_sentencepiece(sentences, pieces), longest)


def train_sentencepiece(sentences: Iterable[str], pieces: int) -> bytes:
    """The serialized model; sentencepiece itself normalizes nothing (see `normalize_text`).

    Raises:
        UserError: the text cannot be cut into so many pieces.
    """
    import sentencepiece

    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=written,
            model_type="unigram",
            vocab_size=pieces,
            character_coverage=1.0,
            normalization_rule_name="identity",
            hard_vocab_limit=True,
            num_threads=1,
            shuffle_input_sentence=False,
            minloglevel=2,
            pad_id=PAD,
            pad_piece=CONTROL[PAD],
            unk_id=UNKNOWN,
            unk_piece=CONTROL[UNKNOWN],
            bos_id=START,
            bos_piece=CONTROL[START],
            eos_id=END,
            eos_piece=CONTROL[END],
        )
    except RuntimeError as error:
        raise UserError(
            f"subwords.pieces: the training part does not yield {pieces} pieces ({_last_sentence(error)}); expected"
            " fewer pieces or more text"
        ) from error
    return written.getvalue()


def tokenizer_of(model: bytes, longest: int) -> UnigramTokenizer:
    """Pieces and scores of a serialized sentencepiece model."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    every = range(processor.get_piece_size())
    return UnigramTokenizer(tuple((processor.id_to_piece(i), processor.get_score(i)) for i in every), longest)


def _last_sentence(error: RuntimeError) -> str:
    """The reason, behind where in its source sentencepiece found it."""
    return " ".join(str(error).split("] ")[-1].split()).rstrip(". ")
