package dev.edgernn.demo

import org.json.JSONObject
import java.text.Normalizer
import java.util.Locale

/**
 * Sentences to sub-words and back, by a unigram language model of pieces (Kudo 2018, "Subword regularization"), as
 * `tokenizer` of artifact.json describes it.
 */
class Tokenizer(record: JSONObject) {
    init {
        val kind = record.getString("kind")
        if (kind != "unigram") throw BadArtifact("a tokenizer of kind $kind, expected unigram; update the app")
    }

    private val ids = record.getJSONObject("ids")
    val unknown = ids.getInt("unknown")
    val start = ids.getInt("start")
    val end = ids.getInt("end")
    val longest = record.getInt("maximum_length")
    private val never = record.getJSONArray("never_generated").let { all -> Array(all.length(), all::getInt).toSet() }
    private val space: String = record.getString("space")
    private val replaced = record.getJSONObject("normalization").getJSONArray("replace")
        .let { pairs -> List(pairs.length()) { pairs.getJSONArray(it).strings() } }
    private val listed = record.getJSONArray("pieces").let { all -> List(all.length(), all::getJSONArray) }
    private val pieces = listed.map { it.getString(0) }
    private val scores = listed.map { it.getDouble(1) }
    private val control = never + end
    private val index = pieces.withIndex().filter { it.index !in control }.associate { it.value to it.index }
    private val longestPiece = index.keys.maxOf { it.codePointCount(0, it.length) }
    private val unknownScore = index.values.minOf { scores[it] } - record.getDouble("unknown_penalty")

    /** Sub-words of a sentence, without start and end, none of an empty one; a run of unknown characters is one. */
    fun encode(sentence: String): List<Int> {
        val text = normalized(sentence)
        return if (text.isEmpty()) emptyList() else best((space + text.replace(" ", space)).codePoints().toArray())
    }

    fun decode(ids: List<Int>): String =
        ids.filter { it !in control }.joinToString("") { pieces[it] }.replace(space, " ").trim()

    /** Of the scores of all pieces the best that may be written. */
    fun choose(logits: FloatArray): Int = logits.indices.filter { it !in never }.maxBy(logits::get)

    private fun normalized(sentence: String): String {
        val lower = Normalizer.normalize(sentence, Normalizer.Form.NFC).lowercase(Locale.ROOT)
        val plain = replaced.fold(lower) { text, (old, new) -> text.replace(old, new) }
        val spaced = plain.map { if (it.isWhitespace() || it == NEXT_LINE) ' ' else it }.joinToString("")
        return spaced.split(' ').filter(String::isNotEmpty).joinToString(" ")
    }

    /** The most probable way to cut the text into pieces (Viterbi); of equal ones the first found. */
    private fun best(text: IntArray): List<Int> {
        val score = DoubleArray(text.size + 1) { if (it == 0) 0.0 else Double.NEGATIVE_INFINITY }
        val from = IntArray(text.size + 1)
        val chosen = IntArray(text.size + 1) { unknown }
        fun offer(begin: Int, end: Int, piece: Int, its: Double) {
            if (score[begin] + its > score[end]) {
                score[end] = score[begin] + its
                from[end] = begin
                chosen[end] = piece
            }
        }
        for (begin in text.indices) {
            var single = false
            for (end in begin + 1..minOf(begin + longestPiece, text.size)) {
                val piece = index[String(text, begin, end - begin)] ?: continue
                single = single || end == begin + 1
                offer(begin, end, piece, scores[piece])
            }
            if (!single) offer(begin, begin + 1, unknown, unknownScore)
        }
        val ends = generateSequence(text.size) { from[it] }.takeWhile { it > 0 }
        val path = ends.map { chosen[it] }.toList().asReversed()
        return path.filterIndexed { i, piece -> piece != unknown || i == 0 || path[i - 1] != unknown }
    }

    private companion object {
        /** White space to Python, not to Java. */
        const val NEXT_LINE = '\u0085'
    }
}
