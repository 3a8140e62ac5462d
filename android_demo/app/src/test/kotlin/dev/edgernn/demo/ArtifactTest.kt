package dev.edgernn.demo

import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** Assets that do not fit together: one line that names the file, says what was expected, and what to do. */
@RunWith(RobolectricTestRunner::class)
class ArtifactTest {
    private val app = RuntimeEnvironment.getApplication() as TestApplication
    private val model = ArtifactReader(app.files).read("truck").manifest.file

    private fun content(path: String) = app.assets.open(path).use { it.readBytes() }

    private fun edited(path: String, edit: JSONObject.() -> Unit) = JSONObject(String(content(path))).apply(edit).toString().toByteArray()

    private fun message(): String {
        val message = assertThrows(BadArtifact::class.java) { ArtifactReader(app.files).read("truck") }.message!!
        assertFalse("one line", '\n' in message)
        return message
    }

    @Test
    fun `a byte of the model has changed`() {
        app.replaced["truck/$model"] = content("truck/$model").apply { this[100] = (this[100] + 1).toByte() }
        assertTrue(message(), message().startsWith("truck/$model: sha256 "))
        assertTrue(message().endsWith("run `make android-assets` and install again"))
    }

    @Test
    fun `the model is not the one the manifest speaks of`() {
        app.replace("truck/$model", content("truck/$model").apply { this[100] = (this[100] + 1).toByte() })
        val sum = JSONObject(String(content("truck/artifact.json"))).getString("sha256").take(12)
        assertTrue(message(), "expected $sum" in message())
    }

    @Test
    fun `a manifest of a later version`() {
        app.replace("truck/artifact.json", edited("truck/artifact.json") { put("format", 2) })
        assertEquals("truck/artifact.json: format 2, this app reads 1; run `make android-assets` and install again, or update the app", message())
    }

    @Test
    fun `a manifest that lacks what it must say`() {
        app.replace("truck/artifact.json", edited("truck/artifact.json") { remove("sha256") })
        assertEquals("truck: damaged (No value for sha256); run `make android-assets` and install again", message())
    }

    @Test
    fun `a manifest that is not JSON`() {
        app.replace("truck/artifact.json", "{".toByteArray())
        assertEquals("truck/artifact.json: damaged, not JSON; run `make android-assets` and install again", message())
    }

    @Test
    fun `no assets at all`() {
        val error = assertThrows(BadArtifact::class.java) { ArtifactReader { throw java.io.FileNotFoundException(it) }.folders }
        assertEquals("index.json: not found among the assets; run `make android-assets` and install again", error.message)
    }

    @Test
    fun `a recording that ends too early`() {
        val half = content("truck/recording.bin").let { it.copyOf(it.size / 2) }
        app.replace("truck/recording.bin", half)
        assertTrue(message(), message().startsWith("truck/recording.bin: ${half.size} bytes, recording.json says "))
    }

    @Test
    fun `states of the manifest that the model has not`() {
        app.replace("truck/artifact.json", edited("truck/artifact.json") { getJSONArray("states").getJSONObject(0).put("name", "h9") })
        val problem = DemoLoader(app.files, app.engines).load().problems.getValue("truck")
        assertTrue(problem, "artifact.json says [h9, " in problem)
    }

    @Test
    fun `one bad artefact leaves the others running`() {
        app.replaced["truck/$model"] = ByteArray(10)
        val demo = DemoLoader(app.files, app.engines).load()
        assertEquals(setOf("truck"), demo.problems.keys)
        assertEquals("demand", demo.artifacts.first { it.manifest.task == Demo.FORECAST }.folder)
        assertTrue(demo.forecast != null && demo.live == null)
    }

    @Test
    fun `what LiteRT refuses is said with the file`() {
        val engines = EngineFactory { _, _ -> throw IllegalArgumentException("no such operator") }
        assertEquals("truck/$model: refused by LiteRT (no such operator)", DemoLoader(app.files, engines).load().problems["truck"])
    }
}
