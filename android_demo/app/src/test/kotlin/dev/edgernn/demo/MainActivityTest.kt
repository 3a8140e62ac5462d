package dev.edgernn.demo

import android.graphics.Bitmap
import android.graphics.Canvas
import android.hardware.Sensor
import android.hardware.SensorManager
import android.os.Bundle
import android.os.Looper
import android.os.Parcel
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.shadows.SensorEventBuilder
import org.robolectric.shadows.ShadowSensor
import java.io.File
import java.time.Duration

/** The app as a person has it in the hand; its pictures go to target/screenshots. */
@RunWith(RobolectricTestRunner::class)
class MainActivityTest {
    private val app = RuntimeEnvironment.getApplication() as TestApplication

    private fun started(saved: Bundle? = null): ActivityController<MainActivity> {
        val controller = Robolectric.buildActivity(MainActivity::class.java)
        return controller.create(saved).start().apply { saved?.let(::restoreInstanceState) }.resume().visible().also { app.finishJobs() }
    }

    private fun ActivityController<MainActivity>.texts() = get().window.decorView.descendants().filterIsInstance<TextView>().map { it.text.toString() }

    private fun ActivityController<MainActivity>.press(text: String) {
        get().window.decorView.descendants().first { it is TextView && it.text.toString() == text }.performClick()
        shadowOf(Looper.getMainLooper()).idle()
    }

    private fun ActivityController<MainActivity>.endProcess() {
        pause().stop().destroy()
        app.demo = null
    }

    private fun ActivityController<MainActivity>.faster() {
        press(texts().first { it.endsWith("rows/s") })
    }

    private fun View.descendants(): List<View> = listOf(this) + if (this is ViewGroup) (0 until childCount).flatMap { getChildAt(it).descendants() } else emptyList()

    private val truck by lazy { ArtifactReader(app.files).read("truck").recording!! }

    /** Lets the truck's recording go on to a row at 600 rows/s, as `faster` has it. */
    private fun passRows(rows: Int) = shadowOf(Looper.getMainLooper()).idleFor(Duration.ofMillis(rows * 1000L / 600))

    /** A row within the first alarm, and soon after its beginning. */
    private fun alarmedRow(): Int {
        val on = truck.outputs.getValue("alarm").map { it[0] > 0.5f }
        val (begin, rows) = on.indexOf(true) to on.drop(on.indexOf(true)).takeWhile { it }.size
        return begin + minOf(rows / 2, 200)
    }

    private fun pass(seconds: Long) = shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(seconds))

    /** Draws the whole window; a page that shows nothing has few colours. */
    private fun ActivityController<MainActivity>.picture(name: String) {
        val window = get().window.decorView
        val bitmap = Bitmap.createBitmap(window.width, window.height, Bitmap.Config.ARGB_8888)
        window.draw(Canvas(bitmap))
        val pixels = IntArray(bitmap.width * bitmap.height).also { bitmap.getPixels(it, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height) }
        assertTrue("$name shows ${pixels.toSet().size} colours", pixels.toSet().size > 20)
        val folder = File(System.getProperty("edgernn.screenshots")!!).apply { mkdirs() }
        File(folder, "$name.png").outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
    }

    @Test
    fun `a cold start does no disk work on the main thread`() {
        val controller = Robolectric.buildActivity(MainActivity::class.java).create().start().resume().visible()
        assertEquals("nothing opened yet", emptyList<Any>(), app.opened)
        assertTrue("Loading ..." in controller.texts())
        app.finishJobs()
        assertTrue(app.opened.isNotEmpty())
        assertTrue("none by the main thread", app.opened.none { it.second })
        assertFalse("Loading ..." in controller.texts())
    }

    @Test
    fun `the truck's alarm is shown`() {
        val controller = started().apply { faster() }
        passRows(alarmedRow())
        assertTrue(controller.texts().toString(), controller.texts().any { it.startsWith("Alarm: ") })
        controller.picture("live")
    }

    @Test
    @Config(qualifiers = "+night")
    fun `the dark theme`() {
        val controller = started().apply { faster() }
        passRows(alarmedRow())
        controller.picture("live_dark")
    }

    @Test
    fun `the forecast is shown beside the truth`() {
        val controller = started()
        controller.press("Forecast")
        controller.faster()
        val forecast = ArtifactReader(app.files).read("demand")
        pass((forecast.recording!!.size - forecast.manifest.leads.last) / 48L)
        assertTrue(controller.texts().toString(), controller.texts().any { it.startsWith("WAPE ") })
        controller.picture("forecast")
    }

    @Test
    fun `the card tells bytes, states and budgets`() {
        val controller = started()
        controller.press("Models")
        val texts = controller.texts()
        val manifest = ArtifactReader(app.files).read("truck").manifest
        assertTrue(texts.toString(), "%,d".format(manifest.bytes) in texts)
        assertTrue(manifest.states.all { "  $it" in texts })
        controller.picture("models")
    }

    @Test
    fun `the benchmark times every model in both kernels`() {
        val controller = started()
        controller.press("Bench")
        controller.press("Time 2000 steps of each model")
        app.finishJobs()
        val result = controller.texts().single { "p50" in it }
        val streams = ArtifactReader(app.files).run { folders.map(::read) }.filter { it.recording != null }
        assertEquals(2 * streams.size, Regex("p50 [0-9.]+ µs, p99 [0-9.]+ µs").findAll(result).count())
        controller.picture("bench")
    }

    @Test
    fun `without a model the page says so`() {
        val index = JSONObject(String(app.assets.open("index.json").use { it.readBytes() }))
        index.getJSONObject("folders").apply { keys().asSequence().toList().filter { it != "truck" }.forEach(::remove) }
        app.replaced["index.json"] = index.toString().toByteArray()
        val controller = started()
        controller.press("Translate")
        assertTrue(controller.texts().toString(), controller.texts().any { "make android-assets" in it })
    }

    @Test
    fun `a typed sentence is translated`() {
        val translated = ArtifactReader(app.files).run { folders.map(::read) }.find { it.manifest.task == Demo.TRANSLATION }
        assumeTrue("no translation among the assets", translated != null)
        val pairs = JSONObject(String(app.assets.open("${translated!!.folder}/pairs.json").use { it.readBytes() })).getJSONArray("pairs").objects()
        val pair = pairs.first { it.getString("translation").length > 5 }
        val controller = started()
        controller.press("Translate")
        controller.get().window.decorView.descendants().filterIsInstance<EditText>().single().setText(pair.getString("sentence"))
        controller.get().window.decorView.descendants().filterIsInstance<Button>().single().performClick()
        app.finishJobs()
        assertTrue(controller.texts().toString(), pair.getString("translation") in controller.texts())
        controller.picture("translate")
    }

    @Test
    fun `bad assets are a message, not a crash`() {
        app.replaced["index.json"] = "{}".toByteArray()
        val controller = started()
        assertTrue(controller.texts().any { it.startsWith("index.json: format null, this app reads 1") })
        controller.picture("bad_assets")
    }

    @Test
    fun `a rotation loses no step`() {
        val controller = started()
        pass(10)
        controller.press("Pause")
        val before = controller.texts()
        val files = app.opened.size
        controller.recreate()
        app.finishJobs()
        assertEquals(before, controller.texts())
        assertEquals("nothing loaded anew", files, app.opened.size)
    }

    @Test
    fun `the end of the process loses no step`() {
        val whole = started().also { it.faster(); passRows(truck.size + 600) }
        val undisturbed = whole.texts()
        whole.endProcess()
        val first = started().also { it.faster(); pass(1) }
        val saved = Bundle().also { first.saveInstanceState(it) }
        val parcel = Parcel.obtain().apply { writeBundle(saved); setDataPosition(0) }
        assertTrue("a bundle may hold a megabyte, this one ${parcel.dataSize()} bytes", parcel.dataSize() < 200_000)
        first.endProcess()
        val second = started(parcel.readBundle(javaClass.classLoader))
        assertFalse("it was not at the end", second.texts() == undisturbed)
        passRows(truck.size + 600)
        assertEquals(undisturbed, second.texts())
    }

    @Test
    fun `a page that is not seen does not go on`() {
        val controller = started()
        pass(5)
        controller.pause()
        val before = controller.texts()
        pass(60)
        assertEquals(before, controller.texts())
    }

    @Test
    fun `the phone's own motion`() {
        val manager = app.getSystemService(SensorManager::class.java)
        val sensor = ShadowSensor.newInstance(Sensor.TYPE_ACCELEROMETER)
        shadowOf(manager).addSensor(sensor)
        val controller = started()
        for (i in 0 until 100) {
            val values = floatArrayOf(kotlin.math.sin(i / 5f), kotlin.math.cos(i / 7f), 9.8f)
            shadowOf(manager).sendSensorEventToListeners(SensorEventBuilder.newBuilder().setSensor(sensor).setTimestamp(i * 20_000_000L).setValues(values).build())
        }
        controller.press("This phone")
        assertTrue("This phone's motion" in controller.texts())
        controller.picture("motion")
        controller.pause()
        assertFalse("no listener is left", shadowOf(manager).hasListener(null, sensor))
    }
}
