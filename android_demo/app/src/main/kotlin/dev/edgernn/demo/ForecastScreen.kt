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
    private val behind = chart("${session.leads} steps ahead")

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
        val (first, last) = session.wape(1) to session.wape(session.leads)
        headline.text = listOfNotNull(
            "WAPE %.3f next step".format(first).takeUnless { first.isNaN() },
            "%.3f at %d".format(last, session.leads).takeUnless { last.isNaN() },
        ).joinToString().ifEmpty { "Forecast" }
        val place = if (session.finished) "end of the recording" else "row ${session.position}"
        detail.text = "${CLOCK.format(Date(session.time))}, $place"
        val (from, until) = 1 - PAST to 1 + session.leads
        val none = FloatArray(PAST) { Float.NaN }
        val next = session.forecast ?: FloatArray(session.leads) { Float.NaN }
        ahead.series = listOf(
            Series(session.truth(from, 1) + next.map { Float.NaN }, palette.ink, name = "truth"),
            Series(none + session.truth(1, until), palette.faint, name = "what will come"),
            Series(none + next, palette.orange, name = "forecast"),
        )
        behind.series = listOf(
            Series(session.truth(from, 1), palette.ink, name = "truth"),
            Series(session.forecastBefore(session.leads, from, 1), palette.orange, dashed = true, name = "forecast"),
        )
        listOf(ahead, behind).forEach(View::invalidate)
    }

    private companion object {
        /** Steps of the past in the charts. */
        const val PAST = 72
        val CLOCK = SimpleDateFormat("EEE d MMM yyyy, HH:mm", Locale.ENGLISH)
            .apply { timeZone = TimeZone.getTimeZone("UTC") }
    }
}
