package dev.edgernn.demo

import androidx.test.platform.app.InstrumentationRegistry
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.abs
import kotlin.math.max

/** The recordings through LiteRT on a real device: integers are the same everywhere, float ends may differ by rounding. */
class GoldenStreamDeviceTest {
    private val assets = InstrumentationRegistry.getInstrumentation().targetContext.assets
    private val reader = ArtifactReader { assets.open(it) }

    @Test
    fun everyOutputIsPythons() {
        for (artifact in reader.folders.map(reader::read)) {
            val recording = artifact.recording ?: continue
            val model = StepModel(LiteRtEngine(artifact.model, Kernels.EXACT)).checkedAgainst(artifact.manifest)
            val stream = Stream(model, recording.stepMillis, recording.maxGapMillis)
            for (row in 0 until recording.size) {
                for ((name, values) in stream.feed(recording.time[row], recording.x[row])!!.outputs) {
                    values.zip(recording.outputs.getValue(name)[row]).forEach { (said, expected) ->
                        assertTrue("${artifact.folder} row $row $name: $said, expected $expected", abs(said - expected) <= TOLERANCE * max(1f, abs(expected)))
                    }
                }
            }
        }
    }

    @Test
    fun alarmsAreAtPythonsRows() {
        for (artifact in reader.folders.map(reader::read).filter { it.manifest.task == Demo.ANOMALY }) {
            val recording = artifact.recording!!
            val stream = Stream(StepModel(LiteRtEngine(artifact.model, Kernels.EXACT)), recording.stepMillis, recording.maxGapMillis)
            val session = LiveSession(artifact, stream).apply { advance(recording.size) }
            val on = recording.outputs["alarm"]?.map { it[0] > 0.5f } ?: recording.outputs.getValue("score").map { it[0] >= 1f }
            assertEquals(recording.time.filterIndexed { row, _ -> on[row] && (row == 0 || !on[row - 1]) }, session.alarms.map { it.begin })
        }
    }

    @Test
    fun translationsArePythons() {
        for (artifact in reader.folders.map(reader::read).filter { it.manifest.task == Demo.TRANSLATION }) {
            val translator = Translator(artifact, LiteRtEngine(artifact.model, Kernels.EXACT))
            val pairs = JSONObject(assets.open("${artifact.folder}/pairs.json").use { String(it.readBytes()) })
            for (pair in pairs.getJSONArray("pairs").objects()) {
                val written = translator.tokenizer.decode(translator.translate(pair.getString("sentence")))
                assertEquals(pair.getString("translation"), written)
            }
        }
    }

    private companion object {
        /** Relative; a device may fuse a product and a sum of the float ends into one rounding. */
        const val TOLERANCE = 1e-4f
    }
}
