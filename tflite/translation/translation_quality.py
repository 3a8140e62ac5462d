"""How good translations are, and how equal to those of another model."""

from collections.abc import Sequence


def bleu(translations: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU in points by sacrebleu (Post 2018), its own tokens, lower-cased, all references of a sentence."""
    import sacrebleu

    most = max(map(len, references))
    columns = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    return round(sacrebleu.corpus_bleu(list(translations), columns, lowercase=True).score, 4)


def exact_match(translations: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Share of translations that are one of the references."""
    return sum(t in r for t, r in zip(translations, references, strict=True)) / len(translations)


def identity(ids: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> float:
    """Share of translations whose every sub-word is the other model's."""
    return sum(tuple(a) == tuple(b) for a, b in zip(ids, others, strict=True)) / len(ids)


def token_identity(ids: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> float:
    """Share of sub-words that stand at the same place in the other model's translation; of the longer of the two."""
    pairs = list(zip(ids, others, strict=True))
    same = sum(x == y for a, b in pairs for x, y in zip(a, b, strict=False))
    return same / max(sum(max(len(a), len(b)) for a, b in pairs), 1)
