package dev.edgernn.demo

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** The app's own steps over the recordings against what Python's LiteRT said of them. */
@RunWith(RobolectricTestRunner::class)
class GoldenStreamTest {
    private val app = RuntimeEnvironment.getApplication() as TestApplication
    private val reader = ArtifactReader(app.files)

    private fun stream(artifact: Artifact, kernels: Kernels = Kernels.EXACT): Stream {
        val recording = artifact.recording!!
        return Stream(StepModel(app.engines.open(artifact.model, kernels)), recording.stepMillis, recording.maxGapMillis)
    }

    @Test
    fun `every output of every row is Python's, bit for bit`() {
        for (artifact in reader.folders.map(reader::read).filter { it.recording != null }) {
            val (recording, stream) = artifact.recording!! to stream(artifact)
            assertTrue(recording.size >= 500)
            for (row in 0 until recording.size) {
                val said = stream.feed(recording.time[row], recording.x[row])!!
                assertEquals(recording.outputs.keys, said.outputs.keys)
                for ((name, values) in said.outputs) {
                    val expected = recording.outputs.getValue(name)[row]
                    assertEquals("${artifact.folder} row $row $name", expected.map(Float::toRawBits), values.map(Float::toRawBits))
                }
            }
        }
    }

    @Test
    fun `the recording holds what can go wrong`() {
        val recording = reader.read("truck").recording!!
        val holes = (1 until recording.size).map { recording.time[it] - recording.time[it - 1] }
        assertTrue("a gap", holes.any { it > recording.maxGapMillis })
        assertTrue("a hole that is bridged", holes.any { it in recording.stepMillis + 1..recording.maxGapMillis })
        assertTrue("a silent sensor", recording.x.count { it[0].isNaN() } >= 30)
    }

    @Test
    fun `alarms begin and end at Python's rows`() {
        val artifact = reader.read("truck")
        val recording = artifact.recording!!
        val session = LiveSession(artifact, stream(artifact))
        session.advance(recording.size)
        val on = recording.outputs["alarm"]?.map { it[0] > 0.5f } ?: recording.outputs.getValue("score").map { it[0] >= 1f }
        val begins = recording.time.filterIndexed { row, _ -> on[row] && (row == 0 || !on[row - 1]) }
        val ends = recording.time.filterIndexed { row, _ -> on[row] && (row == recording.size - 1 || !on[row + 1]) }
        assertTrue("an alarm to compare", begins.isNotEmpty())
        assertEquals(begins, session.alarms.map { it.begin })
        assertEquals(ends, session.alarms.map { it.end })
        assertTrue("the model says which channel", session.alarms.all { it.channel in artifact.manifest.blamed })
    }

    @Test
    fun `XNNPACK's kernels raise the alarm within half a minute of the exact ones`() {
        val artifact = reader.read("truck")
        val (exact, fast) = Kernels.entries.map { LiveSession(artifact, stream(artifact, it)) }
        listOf(exact, fast).forEach { it.advance(artifact.recording!!.size) }
        assertEquals(exact.alarms.first().begin / 1e3, fast.alarms.first().begin / 1e3, 30.0)
    }

    @Test
    fun `the forecast screen counts the errors that Python's forecasts make`() {
        val artifact = reader.read("demand")
        val recording = artifact.recording!!
        val session = ForecastSession(artifact, stream(artifact))
        session.advance(recording.size)
        val forecasts = recording.outputs.getValue("forecast")
        val (leads, targets) = artifact.manifest.leads to artifact.manifest.targets
        val column = artifact.manifest.channels.indexOfFirst { it.name == targets.first() }
        val place = { lead: Int -> (lead - leads.first) * targets.size }
        for (lead in leads) {
            val rows = (lead until recording.size).filter { !recording.x[it][column].isNaN() }
            val error = rows.sumOf { kotlin.math.abs(forecasts[it - lead][place(lead)] - recording.x[it][column]).toDouble() }
            assertEquals(error / rows.sumOf { recording.x[it][column].toDouble() }, session.wape(lead), 1e-6)
        }
        assertTrue("it forecasts at all", session.wape(leads.first) < 0.5)
        val interval = artifact.manifest.interval ?: return
        val (low, high) = session.limits!!
        assertArrayEquals(leads.map { recording.outputs.getValue(interval.low).last()[place(it)] }.toFloatArray(), low, 0f)
        assertArrayEquals(leads.map { recording.outputs.getValue(interval.high).last()[place(it)] }.toFloatArray(), high, 0f)
    }
}
