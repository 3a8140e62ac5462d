package dev.edgernn.demo

import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner

@RunWith(RobolectricTestRunner::class)
class TokenizerTest {
    private val pieces = listOf(
        "<pad>" to 0.0, "<unk>" to 0.0, "<START>" to 0.0, "<END>" to 0.0,
        "▁" to -3.0, "a" to -4.0, "b" to -4.5, "ab" to -5.0, "▁a" to -5.5, "▁ab" to -9.1, "ba" to -6.0, "abab" to -9.9, "'" to -4.0, "é" to -5.0,
    )

    private fun record() = JSONObject(
        """{"kind": "unigram", "lower_case": true, "space": "▁", "prefix_space": true, "unknown_penalty": 10.0, "maximum_length": 24,
            "normalization": {"replace": [["’", "'"]]}, "never_generated": [0, 1, 2], "ids": {"pad": 0, "unknown": 1, "start": 2, "end": 3}}""",
    ).put("pieces", JSONArray(pieces.map { (text, score) -> JSONArray(listOf(text, score)) }))

    private val tokenizer = Tokenizer(record())

    /** Every way to cut a text into pieces, and the best of them. */
    private fun byHand(text: String): Double = if (text.isEmpty()) 0.0 else pieces.drop(4).filter { text.startsWith(it.first) }
        .maxOfOrNull { (piece, score) -> score + byHand(text.removePrefix(piece)) } ?: Double.NEGATIVE_INFINITY

    @Test
    fun `no way to cut the text is better`() {
        for (text in listOf("a", "ab", "abab", "ababab", "ba ab", "abba", "bab aba b")) {
            val ids = tokenizer.encode(text)
            val whole = "▁" + text.replace(" ", "▁")
            assertEquals(whole, ids.joinToString("") { pieces[it].first })
            assertEquals(text, byHand(whole), ids.sumOf { pieces[it].second }, 1e-12)
        }
    }

    @Test
    fun `what is typed is normalized first`() {
        assertEquals(tokenizer.encode("ab ab"), tokenizer.encode("  AB \t\u00a0aB\n"))
        assertEquals(tokenizer.encode("a'a"), tokenizer.encode("a’a"))
        assertEquals(tokenizer.encode("\u00e9"), tokenizer.encode("e\u0301"))
        assertEquals(emptyList<Int>(), tokenizer.encode(" \n"))
    }

    @Test
    fun `a run of unknown characters is one, whatever plane they are of`() {
        assertEquals(listOf(8, 1, 5), tokenizer.encode("axyz😀a"))
    }

    @Test
    fun `pieces become words again, control pieces do not`() {
        assertEquals("ab a'b", tokenizer.decode(listOf(2, 9, 8, 12, 6, 3, 0)))
    }

    @Test
    fun `what may not be written is not chosen`() {
        assertEquals(5, tokenizer.choose(FloatArray(14) { if (it < 3) 9f else if (it == 5) 1f else 0f }))
    }

    @Test
    fun `another kind is refused`() {
        assertThrows(BadArtifact::class.java) { Tokenizer(record().put("kind", "bpe")) }
    }
}
