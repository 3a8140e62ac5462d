package dev.edgernn.demo

import android.content.Context
import android.os.Bundle
import android.view.View
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone

/** The next day as forecast now, and what was forecast a day ago beside what then came. */
class ForecastScreen(context: Context, private val session: ForecastSession) : Screen(context, "Forecast") {
    private val player = Player(listOf(1.0, 6.0, 48.0), "rows/s", session::advance, session::restart)
    private val headline = label(20f, bold = true)
    private val detail = label(13f, palette.faint)
    private val ahead = chart(session.channel.name).apply { now = PAST - 1 }
    private val behind = chart("${session.leads.last} steps ahead")

    init {
        add(headline)
        add(detail)
        listOf(ahead, behind).forEach { add(it, weight = 1f) }
        add(row(*player.buttons(::button)))
        refresh()
    }

    override fun onTick(seconds: Double) {
        player.tick(seconds)
        refresh()
    }

    override fun save(into: Bundle) = player.save(into)

    override fun restore(from: Bundle) {
        player.restore(from)
        refresh()
    }

    private fun chart(name: String) = ChartView(context).apply {
        title = name
        unit = session.channel.unit
        atLeast = 0f..100f
    }

    private fun refresh() {
        val (first, last) = session.leads.first to session.leads.last
        headline.text = listOfNotNull(
            "WAPE %.3f %s".format(session.wape(first), if (first == 1) "next step" else "at $first")
                .takeUnless { session.wape(first).isNaN() },
            "%.3f at %d".format(session.wape(last), last).takeUnless { session.wape(last).isNaN() },
        ).joinToString().ifEmpty { "Forecast" }
        val place = if (session.finished) "end of the recording" else "row ${session.position}"
        detail.text = "${CLOCK.format(Date(session.time))}, $place"
        val (from, until) = 1 - PAST to 1 + last
        ahead.band = session.limits?.let { (low, high) -> band(placed(low), placed(high)) }
        ahead.series = listOf(
            Series(session.truth(from, 1) + FloatArray(last) { Float.NaN }, palette.ink, name = "truth"),
            Series(FloatArray(PAST) { Float.NaN } + session.truth(1, until), palette.faint, name = "what will come"),
            Series(placed(session.forecast), palette.orange, name = "forecast"),
        )
        behind.band = session.limitsBefore(last, from, 1)?.let { (low, high) -> band(low, high) }
        behind.series = listOf(
            Series(session.truth(from, 1), palette.ink, name = "truth"),
            Series(session.forecastBefore(last, from, 1), palette.orange, dashed = true, name = "forecast"),
        )
        listOf(ahead, behind).forEach(View::invalidate)
    }

    private fun band(low: FloatArray, high: FloatArray) =
        Band(low, high, palette.band, "%.0f %%".format(100 * session.interval!!.share))

    /** Values by lead at their places in the chart of what is ahead. */
    private fun placed(values: FloatArray?) = FloatArray(PAST + session.leads.last) {
        values?.getOrNull(it + 1 - PAST - session.leads.first) ?: Float.NaN
    }

    private companion object {
        /** Steps of the past in the charts. */
        const val PAST = 72
        val CLOCK = SimpleDateFormat("EEE d MMM yyyy, HH:mm", Locale.ENGLISH)
            .apply { timeZone = TimeZone.getTimeZone("UTC") }
    }
}
