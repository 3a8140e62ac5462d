package dev.edgernn.demo

import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
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

    private fun ForecastSession.facts() =
        listOf(position, forecast!!.asList(), leads.map(::wape), forecastBefore(leads.last, -20, 1).asList()) +
            listOfNotNull(limits, limitsBefore(leads.last, -20, 1)).flatMap { (low, high) -> listOf(low.asList(), high.asList()) }

    @Test
    fun `a truck's stream goes on at any row`() {
        val whole = demo().live!!.apply { advance(Int.MAX_VALUE) }.facts()
        val recording = demo().artifacts.first { it.manifest.task == Demo.ANOMALY }.recording!!
        val amidAlarm = recording.outputs.getValue("alarm").indexOfFirst { it[0] > 0.5f } + 20
        for (rows in listOf(1, 137, recording.size / 3, amidAlarm, recording.size - 65)) {
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
        val limits = session.limits
        val (leads, last) = session.leads to session.leads.last
        session.advance(last)
        fun later(at: (Int, Int, Int) -> FloatArray) = leads.map { at(it, it - last, it - last + 1)[0] }.toFloatArray()
        assertArrayEquals(made, later(session::forecastBefore), 0f)
        limits?.let { (low, high) ->
            assertArrayEquals(low, later { lead, from, until -> session.limitsBefore(lead, from, until)!!.first }, 0f)
            assertArrayEquals(high, later { lead, from, until -> session.limitsBefore(lead, from, until)!!.second }, 0f)
        }
    }

    @Test
    fun `a model without quantiles has a forecast and no limits`() {
        val manifest = JSONObject(String(app.assets.open("demand/artifact.json").use { it.readBytes() }))
        manifest.getJSONArray("outputs").objects().forEach { it.remove("quantile") }
        app.replace("demand/artifact.json", manifest.toString().toByteArray())
        val session = demo().forecast!!.apply { advance(100) }
        assertNull(session.limits)
        assertNull(session.limitsBefore(session.leads.last, -20, 1))
        assertTrue(session.forecast!!.all(Float::isFinite))
        val saved = demo().apply { forecast!!.advance(100) }.save()
        assertEquals(session.facts(), demo().apply { restore(saved) }.forecast!!.facts())
    }

    @Test
    fun `a forecast of other outputs than the manifest's is refused`() {
        val manifest = JSONObject(String(app.assets.open("demand/artifact.json").use { it.readBytes() }))
        manifest.getJSONArray("outputs").objects().first { it.getString("name") == Manifest.FORECAST }.getJSONArray("leads").put(1, 7)
        app.replace("demand/artifact.json", manifest.toString().toByteArray())
        val problem = demo().problems.getValue("demand")
        assertTrue(problem, problem.startsWith("demand/${manifest.getString("tflite")}: outputs {"))
        assertFalse("one line", '\n' in problem)
    }
}
