"""What a translator must beat: looked up, word by word, not translated at all."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

ROUNDS = 5  # of expectation maximization
COMMON = 1000  # sentences
UNSEEN = 10.0  # how rare what no training sentence has is taken to be, in nats


def retrieval(training: Mapping[str, Sequence[str]], sources: Sequence[str]) -> list[str]:
    """The first translation of the training sentence most like each: by letters, pairs and triples of them that both
    have over all that one has, each weighted by how rare it is.
    """
    pieces = {source: _pieces(source) for source in sorted(training)}
    counts = Counter(piece for found in pieces.values() for piece in found)
    rarity = {piece: math.log(len(pieces) / count) for piece, count in counts.items()}
    holding = defaultdict(list)
    for source, found in pieces.items():
        for piece in found:
            if counts[piece] <= COMMON:  # what is everywhere tells nothing and costs most
                holding[piece].append(source)
    weights = {source: sum(rarity[piece] for piece in found) for source, found in pieces.items()}
    return [training[_nearest(_pieces(source), holding, rarity, weights)][0] for source in sources]


def _pieces(sentence: str) -> set[str]:
    text = f" {sentence} "
    return {text[i : i + size] for size in (1, 2, 3) for i in range(len(text) - size + 1)}


def _nearest(wanted: set[str], holding: Mapping, rarity: Mapping[str, float], weights: Mapping[str, float]) -> str:
    shared = defaultdict(float)
    for piece in sorted(wanted):
        for source in holding.get(piece, ()):
            shared[source] += rarity[piece]
    own = sum(rarity.get(piece, UNSEEN) for piece in wanted)
    likeness = {source: both / (weights[source] + own - both) for source, both in shared.items()}
    return max(likeness, key=lambda source: (likeness[source], source), default=next(iter(weights)))


def word_by_word(training: Mapping[str, Sequence[str]], sources: Sequence[str]) -> list[str]:
    """Each word by its likeliest translation (IBM model 1, Brown et al. 1993); unknown words as they are."""
    pairs = [(s.split(), target.split()) for s in sorted(training) for target in training[s]]
    shares = defaultdict(lambda: 1.0)
    for _ in range(ROUNDS):
        shares = _estimated(pairs, shares)
    best = {}
    for (word, translation), share in sorted(shares.items()):
        if share > best.get(word, ("", 0.0))[1]:
            best[word] = translation, share
    return [" ".join(best.get(word, (word, 0.0))[0] for word in source.split()) for source in sources]


def _estimated(pairs, shares: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """The share of each translation of a word, from how words stood together weighted by the shares before."""
    counts, totals = defaultdict(float), defaultdict(float)
    for source, target in pairs:
        for translation in target:
            whole = sum(shares[word, translation] for word in source)
            for word in source:
                part = shares[word, translation] / whole
                counts[word, translation] += part
                totals[word] += part
    return {(word, translation): count / totals[word] for (word, translation), count in counts.items()}
