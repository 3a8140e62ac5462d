"""Sentences translated by a converted model on LiteRT, from nothing but its artefact."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pipeline.native_stderr import withheld_stderr
from pipeline.text.unigram import UnigramTokenizer
from tflite.runtimes.litert import KERNELS
from tflite.translation.signatures import DECODE, ENCODE, FILLED, MEMORY, SCORES, TOKEN
from tflite.translation.translator_artifact import TranslatorArtifact

# Of the length a sum of log probabilities is divided by (Wu et al., Google's Neural Machine Translation System, 2016,
# section 7: .6 to .7); by validation sentences .4 and .6 are alike, 1 worse.
LENGTH_EXPONENT = 0.6


@dataclass(frozen=True)
class Translation:
    """`ids`: the sub-words, END left out. `unknown`: characters of the sentence that no sub-word has. `dropped`: how
    many sub-words of it were over the model's length and not read.
    """

    text: str
    ids: tuple[int, ...]
    unknown: str = ""
    dropped: int = 0


@dataclass(frozen=True)
class Hypothesis:
    """A translation being written: what was chosen, the sum of its log probabilities, what `decode` reads next."""

    ids: tuple[int, ...]
    log_share: float
    states: dict[str, np.ndarray]
    ended: bool = False

    @property
    def merit(self) -> float:
        """By its length, END included: without that the shortest would win."""
        return self.log_share / max(len(self.ids) + self.ended, 1) ** LENGTH_EXPONENT


class LiteRTTranslator:
    """Translates with the two signatures of a model, one thread.

    Args:
        kernels: "builtin" (no delegate: an integer model's own integers, on every machine), "default" (XNNPACK: faster,
            but its roundings make some translations others) or "reference".
    """

    def __init__(self, artifact: TranslatorArtifact, kernels: str = "builtin"):
        record = artifact.manifest["tokenizer"]
        self.tokenizer = UnigramTokenizer.of(record)
        self.end, self.start = record["ids"]["end"], record["ids"]["start"]
        self._tail, self._never = record["source_ends_with"], record["never_generated"]
        with withheld_stderr():  # "Created TensorFlow Lite XNNPACK delegate" is not for users
            self._interpreter = Interpreter(
                model_content=artifact.tflite, num_threads=1, experimental_op_resolver_type=KERNELS[kernels]
            )
            self._encode, self._decode = (self._interpreter.get_signature_runner(s) for s in (ENCODE, DECODE))
        signatures = artifact.manifest["signatures"]
        self._zeros = {state["name"]: _zero(state) for state in signatures[ENCODE]["states"]}
        inputs = {one["name"]: _zero(one) for one in signatures[DECODE]["inputs"]}
        self._memory = inputs.get(MEMORY)
        with withheld_stderr():  # it is the first call that prepares a signature
            self.write([])

    def translate(self, sentence: str, beam: int = 1) -> Translation:
        """The likeliest translation found with a beam of so many hypotheses; 1 is greedy.

        An empty sentence has an empty one. Of a sentence longer than the model's the rest is not read.
        """
        ids = self.tokenizer.encode(sentence)
        longest = self.tokenizer.longest
        written = self.write(ids[:longest], beam) if ids else ()
        unknown, dropped = self.tokenizer.unknown_characters(sentence), max(len(ids) - longest, 0)
        return Translation(self.tokenizer.decode(written), written, unknown, dropped)

    def write(self, source_ids: Sequence[int], beam: int = 1) -> tuple[int, ...]:
        """The sub-words of the translation, END left out."""
        running, ended = [Hypothesis((), 0.0, self._read(source_ids))], []
        for _ in range(self.tokenizer.longest):
            longer = [one for hypothesis in running for one in self._continued(hypothesis, beam)]
            longer = sorted(longer, key=lambda one: -one.log_share)[:beam]
            ended += [one for one in longer if one.ended]
            running = [one for one in longer if not one.ended]
            if not running or len(ended) >= beam:
                break
        return max(ended or running, key=lambda one: one.merit).ids

    def _read(self, source_ids: Sequence[int]) -> dict[str, np.ndarray]:
        """The states after the source with its context; with attention instead of that the memory of it."""
        states, rows = self._zeros, []
        for token in [*reversed(source_ids), self._tail]:
            said = dict(self._encode(**{TOKEN: _token(token)}, **states))
            states = {name: said.pop(name) for name in self._zeros}
            rows.append(said)
        if self._memory is None:
            return {**states, **rows[-1]}
        memory = self._memory.copy()
        memory[0, : len(rows)] = [row[MEMORY][0] for row in rows]
        return {**states, MEMORY: memory, FILLED: np.array([[len(rows)]], np.int32)}

    def _continued(self, hypothesis: Hypothesis, beam: int) -> list[Hypothesis]:
        """The likeliest `beam` continuations; of equal ones the lower sub-word first, as argmax has it."""
        last = hypothesis.ids[-1] if hypothesis.ids else self.start
        states = {**hypothesis.states, **self._decode(**{TOKEN: _token(last)}, **hypothesis.states)}
        scores = states.pop(SCORES)[0].astype(np.float64)
        scores[self._never] = -np.inf
        shares = scores - scores.max() - np.log(np.exp(scores - scores.max()).sum())
        best = [int(shares.argmax())] if beam == 1 else np.argsort(-shares, kind="stable")[:beam].tolist()
        return [self._longer(hypothesis, token, shares[token], states) for token in best]

    def _longer(self, hypothesis: Hypothesis, token: int, log_share: float, states: dict) -> Hypothesis:
        ended = token == self.end
        ids = hypothesis.ids if ended else (*hypothesis.ids, token)
        return Hypothesis(ids, hypothesis.log_share + float(log_share), states, ended)


def _zero(end: dict) -> np.ndarray:
    """Real 0 for an input or state of a signature."""
    return np.full((1, *end["shape"]), end.get("zero_point", 0), end["dtype"])


def _token(index: int) -> np.ndarray:
    return np.array([index], np.int32)
