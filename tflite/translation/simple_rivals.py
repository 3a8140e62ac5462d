"""What a translator must beat: looked up, word by word, not translated at all."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

ROUNDS = 5  # of expectation maximization


def retrieval(training: Mapping[str, Sequence[str]], sources: Sequence[str]) -> list[str]:
    """The first translation of the training sentence most like each, by shared words over all words (Jaccard)."""
    words = {source: frozenset(source.split()) for source in sorted(training)}
    holding = defaultdict(list)
    for source, known in words.items():
        for word in known:
            holding[word].append(source)
    return [training[_nearest(frozenset(source.split()), words, holding)][0] for source in sources]


def _nearest(wanted: frozenset, words: Mapping[str, frozenset], holding: Mapping[str, list[str]]) -> str:
    shared = Counter(source for word in sorted(wanted) for source in holding.get(word, ()))
    if not shared:
        return next(iter(words))
    return max(shared, key=lambda source: (shared[source] / len(wanted | words[source]), source))


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
