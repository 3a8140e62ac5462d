package dev.edgernn.demo

import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** Tokenizer and loop of the app against Python's, on the genuine LiteRT. */
@RunWith(RobolectricTestRunner::class)
class TranslatorTest {
    private val app = RuntimeEnvironment.getApplication() as TestApplication
    private val artifact = ArtifactReader(app.files).run { folders.map(::read) }.find { it.manifest.task == Demo.TRANSLATION }

    @Before
    fun `a translation is among the assets`() = assumeTrue("no translation among the assets", artifact != null)

    private fun translator() = Translator(artifact!!, app.engines.open(artifact.model, Kernels.EXACT))

    private fun pairs() = JSONObject(app.files.open("${artifact!!.folder}/pairs.json").use { String(it.readBytes()) }).getJSONArray("pairs").objects()

    private fun JSONObject.ids(name: String) = getJSONArray(name).let { ids -> List(ids.length(), ids::getInt) }

    @Test
    fun `sub-words are Python's`() {
        val tokenizer = translator().tokenizer
        assertTrue(pairs().size > 20)
        pairs().forEach { assertEquals(it.getString("sentence"), it.ids("source"), tokenizer.encode(it.getString("sentence"))) }
    }

    @Test
    fun `translations are Python's, sub-word for sub-word`() {
        val translator = translator()
        for (pair in pairs()) {
            val written = translator.translate(pair.getString("sentence"))
            assertEquals(pair.getString("sentence"), pair.ids("written"), written)
            assertEquals(pair.getString("translation"), translator.tokenizer.decode(written))
        }
    }

    @Test
    fun `one sentence leaves nothing for the next`() {
        val sentences = pairs().map { it.getString("sentence") }.filter(String::isNotBlank).take(5)
        val translator = translator()
        val first = sentences.map(translator::translate)
        assertEquals(first.reversed(), sentences.reversed().map(translator::translate))
    }

    @Test
    fun `what was cut and what is unknown is said`() {
        val session = TranslationSession(artifact!!, translator()) { 0L }
        session.translate("a ".repeat(60) + "\u4e2d")
        assertTrue(session.detail, "Only the first " in session.detail && "unknown" in session.detail)
        session.translate("")
        assertEquals("", session.translation)
    }

    @Test
    fun `the page translates what is typed and keeps it`() {
        val pair = pairs().first { it.getString("translation").isNotEmpty() }
        val session = TranslationSession(artifact!!, translator()) { 0L }
        session.translate(pair.getString("sentence"))
        val other = TranslationSession(artifact, translator()) { 0L }.apply { restore(session.save()) }
        assertEquals(listOf(pair.getString("sentence"), pair.getString("translation")), listOf(other.sentence, other.translation))
    }
}
