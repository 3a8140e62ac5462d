package dev.edgernn.demo

import android.content.Context
import android.hardware.Sensor
import android.os.Bundle
import android.view.View
import android.widget.LinearLayout
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone

/** Score, threshold and alarms of the replayed truck, and the phone's own motion beside it. */
class LiveScreen(context: Context, private val session: LiveSession) : Screen(context, "Live") {
    private val player = Player(listOf(1.0, 60.0, 600.0), "rows/s", session::advance, session::restart)
    private val headline = label(20f, bold = true)
    private val detail = label(13f, palette.faint)
    private val score = ChartView(context).apply {
        title = "score"
        threshold = session.threshold
        atLeast = 0f..1.5f * session.threshold
    }
    private val channel = ChartView(context)
    private val alarms = label(13f)
    private val motion = Motion(context)
    private val motionCharts = mapOf(
        Sensor.TYPE_ACCELEROMETER to "accelerometer, m/s²",
        Sensor.TYPE_GYROSCOPE to "gyroscope, rad/s",
    ).mapValues { (_, name) -> ChartView(context).apply { title = name; atLeast = -1f..1f } }
    private val source = button("This phone") { showPhone(!phone) }
    private val truck = LinearLayout(context).apply { orientation = LinearLayout.VERTICAL }
    private val sensors = LinearLayout(context).apply { orientation = LinearLayout.VERTICAL; visibility = View.GONE }
    private var phone = false

    /** Channel of the second chart as a person chose it; null: the one to blame, or the first. */
    private var chosen: Int? = null
    private val shown get() = chosen ?: session.blamed ?: 0

    init {
        add(headline)
        add(detail)
        add(truck, weight = 1f)
        add(sensors, weight = 1f)
        listOf(score, channel).forEach { truck.addView(it, fill()) }
        truck.addView(alarms)
        motionCharts.values.forEach { sensors.addView(it, fill()) }
        add(row(*player.buttons(::button)))
        add(row(source, button("Next channel") { chosen = (shown + 1) % session.channels.size; refresh() }))
        refresh()
    }

    override fun onShown() = motion.start()

    override fun onHidden() = motion.stop()

    override fun onTick(seconds: Double) {
        player.tick(seconds)
        refresh()
    }

    override fun save(into: Bundle) {
        player.save(into)
        chosen?.let { into.putInt("channel", it) }
        into.putBoolean("phone", phone)
    }

    override fun restore(from: Bundle) {
        player.restore(from)
        chosen = from.getInt("channel", -1).takeIf { it in session.channels.indices }
        showPhone(from.getBoolean("phone"))
        refresh()
    }

    private fun showPhone(on: Boolean) {
        phone = on
        source.text = if (on) "Truck" else "This phone"
        truck.visibility = if (on) View.GONE else View.VISIBLE
        sensors.visibility = if (on) View.VISIBLE else View.GONE
        refresh()
    }

    private fun refresh() = if (phone) showMotion() else showTruck()

    private fun showTruck() {
        val past = session.history
        val now = past.lastOrNull()
        val alarm = now?.alarm == true
        headline.setTextColor(if (alarm) palette.red else palette.ink)
        headline.text =
            if (alarm) "Alarm: ${session.alarms.last().channel.spoken()}" else "Score %.2f".format(now?.score ?: 0f)
        detail.text = when {
            now == null -> "The recording has not begun."
            session.finished -> "${clock(now.time)}, end of the recording"
            else -> "${clock(now.time)}, row ${session.position}; the alarm is at %.1f".format(session.threshold)
        }
        val gap = { it: Moment -> if (it.restarted) Float.NaN else it.score }
        score.series = listOf(Series(padded(past.map(gap)), palette.blue))
        val first = LiveSession.KEPT - past.size
        score.marked = BooleanArray(LiveSession.KEPT) { past.getOrNull(it - first)?.alarm == true }
        val (name, unit) = session.channels[shown]
        channel.title = name.spoken()
        channel.unit = unit
        channel.series = listOf(Series(padded(past.map { it.x[shown] }), palette.green))
        channel.marked = score.marked
        alarms.text = session.alarms.takeLast(3)
            .joinToString("\n") { "${clock(it.begin)}  ${it.channel.spoken()}, ${(it.end - it.begin) / 1000} s" }
            .ifEmpty { "No alarm so far" }
        listOf(score, channel).forEach(View::invalidate)
    }

    private fun showMotion() {
        headline.setTextColor(palette.ink)
        headline.text = if (motion.isPresent) "This phone's motion" else "This phone has no motion sensors"
        detail.text = "Readings only: the truck's model knows nothing of them."
        for ((type, chart) in motionCharts) {
            val rows = motion.history(type).orEmpty()
            val axes = listOf("x" to palette.blue, "y" to palette.orange, "z" to palette.green)
            chart.series = axes.mapIndexed { axis, (name, color) ->
                Series(padded(rows.map { it[axis] }, Motion.KEPT), color, name = name)
            }
            chart.invalidate()
        }
    }

    /** Right-aligned: the newest value is at the right edge from the first row on. */
    private fun padded(values: List<Float>, places: Int = LiveSession.KEPT) =
        FloatArray(places) { values.getOrElse(it - places + values.size) { Float.NaN } }

    private fun clock(time: Long): String = CLOCK.format(Date(time))

    private fun fill() = LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f)

    private companion object {
        val CLOCK = SimpleDateFormat("HH:mm:ss", Locale.ROOT).apply { timeZone = TimeZone.getTimeZone("UTC") }
    }
}

/** A channel's name as a person says it. */
fun String.spoken() = replace('_', ' ')
