"""Sentence pairs to sub-words: read, split by source sentence, sub-words learned, length-bucketed shards."""
