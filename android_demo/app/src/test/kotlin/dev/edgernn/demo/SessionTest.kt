package dev.edgernn.demo

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

/** Sessions that stop at some row and go on in another process. */
@RunWith(RobolectricTestRunner::class)
class SessionTest {
    private val app = RuntimeEnvironment.getApplication() as TestApplication

    private fun demo() = DemoLoader(app.files, app.engines).load()

    private fun LiveSession.facts() = listOf(position, alarms, history.map { listOf(it.time, it.score, it.alarm, it.restarted, it.x.asList()) })

    private fun ForecastSession.facts() = listOf(position, forecast!!.asList(), wape(1), wape(24), forecastBefore(24, -20, 1).asList())

    @Test
    fun `a truck's stream goes on at any row`() {
        val whole = demo().live!!.apply { advance(Int.MAX_VALUE) }.facts()
        for (rows in listOf(1, 137, 700, 1305, 1700)) {
            val first = demo().apply { live!!.advance(rows) }
            val second = demo().apply { restore(first.save()) }.live!!
            assertEquals(first.live!!.facts(), second.facts())
            assertEquals("from row $rows", whole, second.apply { advance(Int.MAX_VALUE) }.facts())
        }
    }

    @Test
    fun `a forecast goes on at any row`() {
        val whole = demo().forecast!!.apply { advance(Int.MAX_VALUE) }.facts()
        for (rows in listOf(1, 30, 300)) {
            val first = demo().apply { forecast!!.advance(rows) }
            assertEquals("from row $rows", whole, demo().apply { restore(first.save()) }.forecast!!.apply { advance(Int.MAX_VALUE) }.facts())
        }
    }

    @Test
    fun `what was saved of another model is not taken`() {
        val saved = demo().apply { live!!.advance(500) }.save()
        saved.getBundle(Demo.ANOMALY)!!.putString(MODEL, "another")
        assertEquals(0, demo().apply { restore(saved) }.live!!.position)
    }

    @Test
    fun `starting again is a first start`() {
        val session = demo().live!!.apply { advance(300) }
        val before = session.facts()
        session.advance(900)
        session.restart()
        session.advance(300)
        assertEquals(before, session.facts())
    }

    @Test
    fun `forecasts stand at the steps they were made for`() {
        val session = demo().forecast!!.apply { advance(100) }
        val made = session.forecast!!
        session.advance(24)
        assertArrayEquals(made, FloatArray(24) { session.forecastBefore(it + 1, it - 23, it - 22)[0] }, 0f)
    }
}
