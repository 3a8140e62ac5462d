package dev.edgernn.demo

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

@RunWith(RobolectricTestRunner::class)
class StepModelTest {
    private val app = RuntimeEnvironment.getApplication() as TestApplication
    private val artifact = ArtifactReader(app.files).read("demand")
    private val rows = artifact.recording!!.x

    private fun model() = StepModel(app.engines.open(artifact.model, Kernels.EXACT))

    private fun StepModel.run(readings: List<FloatArray>) = readings.map { step(it).all() }

    /** All outputs, one after the other. */
    private fun Map<String, FloatArray>.all() = values.flatMap { it.asList() }.toFloatArray()

    private fun assertSame(expected: List<FloatArray>, actual: List<FloatArray>) =
        expected.zip(actual).forEach { (one, other) -> assertArrayEquals(one, other, 0f) }

    @Test
    fun `the signature says what is a state`() {
        assertEquals(artifact.manifest.states, model().states.specs.map { it.name })
        assertEquals(listOf("x"), model().inputs.map { it.name })
        assertEquals(artifact.recording!!.outputs.keys, model().outputs.map { it.name }.toSet())
    }

    @Test
    fun `a reset is a fresh model, and without it the past goes on`() {
        val model = model()
        val first = model.run(rows.take(50))
        assertFalse(first.zip(model.run(rows.take(50))).all { (one, other) -> one.contentEquals(other) })
        model.reset()
        assertSame(first, model.run(rows.take(50)))
    }

    @Test
    fun `two models share nothing`() {
        val (one, other) = model() to model()
        val alone = model().run(rows.take(20))
        assertSame(alone, rows.take(20).map { row -> one.step(row).all().also { other.step(rows[30]) } })
    }

    @Test
    fun `a saved state goes on in another process, bit for bit`() {
        val (one, other) = model() to model()
        one.run(rows.take(40))
        assertTrue(other.states.restore(one.states.save()))
        assertSame(one.run(rows.subList(40, 90)), other.run(rows.subList(40, 90)))
    }

    @Test
    fun `a state of another model is not taken`() {
        val model = model()
        val fresh = model().run(rows.take(5))
        model.run(rows.take(40))
        val saved = model.states.save()
        assertFalse(model.states.restore(saved - saved.keys.first()))
        assertSame(fresh, model.run(rows.take(5)))
        assertFalse(model.states.restore(saved.mapValues { ByteArray(it.value.size + 1) }))
    }

    @Test
    fun `missing and infinite readings are the graph's affair`() {
        val model = model()
        model.run(rows.take(30))
        for (value in listOf(Float.NaN, Float.POSITIVE_INFINITY)) {
            assertTrue(model.run(List(30) { FloatArray(rows[0].size) { value } }).all { said -> said.all(Float::isFinite) })
        }
    }

    @Test
    fun `a row of another width is refused`() {
        val width = artifact.manifest.channels.size
        val error = assertThrows(IllegalArgumentException::class.java) { model().step(FloatArray(width - 1)) }
        assertEquals("x: expected $width readings, got ${width - 1}", error.message)
    }

    @Test
    fun `a gap resets, a hole is steps of missing readings, a late row is dropped`() {
        val hour = 3_600_000L
        val stream = Stream(model(), hour, 3 * hour)
        stream.feed(0, rows[0])
        assertTrue(stream.feed(4 * hour, rows[1])!!.restarted)
        assertNull(stream.feed(4 * hour, rows[2]))
        assertNull(stream.feed(hour, rows[2]))
        val said = stream.feed(6 * hour, rows[2])!!
        assertFalse(said.restarted)
        val missing = FloatArray(rows[0].size) { Float.NaN }
        assertArrayEquals(model().run(listOf(rows[1], missing, rows[2])).last(), said.outputs.all(), 0f)
    }
}
