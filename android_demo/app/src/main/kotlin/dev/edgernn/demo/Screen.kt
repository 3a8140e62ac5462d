package dev.edgernn.demo

import android.content.Context
import android.graphics.Typeface
import android.os.Bundle
import android.view.Gravity
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView

/** One page of the app: its views, and what it does while it is seen. */
abstract class Screen(val context: Context, val name: String) {
    val palette = Palette(context)
    val view = LinearLayout(context).apply {
        orientation = LinearLayout.VERTICAL
        setPadding(dp(12), dp(8), dp(12), dp(8))
    }

    open fun onShown() = Unit

    open fun onHidden() = Unit

    /** @param seconds since the last tick, while the page is seen. */
    open fun onTick(seconds: Double) = Unit

    open fun save(into: Bundle) = Unit

    open fun restore(from: Bundle) = Unit

    protected fun dp(size: Int) = (size * context.resources.displayMetrics.density).toInt()

    protected fun add(child: View, height: Int = WRAP_CONTENT, weight: Float = 0f) =
        view.addView(child, LinearLayout.LayoutParams(MATCH_PARENT, if (weight > 0) 0 else height, weight))

    protected fun label(size: Float = 14f, color: Int = palette.ink, bold: Boolean = false) = TextView(context).apply {
        textSize = size
        setTextColor(color)
        if (bold) setTypeface(typeface, Typeface.BOLD)
        setPadding(0, dp(2), 0, dp(2))
    }

    protected fun button(title: String, press: (Button) -> Unit) = Button(context).apply {
        text = title
        setAllCaps(false)
        setOnClickListener { press(this) }
    }

    protected fun row(vararg children: View) = LinearLayout(context).apply {
        gravity = Gravity.CENTER_VERTICAL
        children.forEach { addView(it, LinearLayout.LayoutParams(0, WRAP_CONTENT, 1f)) }
    }
}

/** A page that says why there is nothing to show. */
class ProblemScreen(context: Context, name: String, problem: String) : Screen(context, name) {
    init {
        add(label(16f, palette.red, bold = true).apply { text = "Nothing to run" })
        add(label(15f).apply { text = problem })
    }
}

/** Play, pause, speed and start again, for a page that replays a recording. */
class Player(
    private val speeds: List<Double>,
    private val unit: String,
    private val advance: (Int) -> Unit,
    private val restart: () -> Unit,
) {
    private var due = 0.0
    private var playing = true
    private var speed = 1

    private lateinit var play: Button
    private lateinit var pace: Button

    fun buttons(make: (String, (Button) -> Unit) -> Button): Array<View> {
        play = make("") { playing = !playing; label() }
        pace = make("") { speed = (speed + 1) % speeds.size; label() }
        label()
        return arrayOf(play, pace, make("Start again") { due = 0.0; restart() })
    }

    /** Rows that have come due; at most a second's at once, so that a pause is not made up for. */
    fun tick(seconds: Double) {
        if (!playing) return
        due += speeds[speed] * minOf(seconds, 1.0)
        val rows = due.toInt()
        due -= rows
        advance(rows)
    }

    fun save(into: Bundle) {
        into.putBoolean("playing", playing)
        into.putInt("speed", speed)
    }

    fun restore(from: Bundle) {
        playing = from.getBoolean("playing", true)
        speed = from.getInt("speed", 1).coerceIn(speeds.indices)
        label()
    }

    private fun label() {
        play.text = if (playing) "Pause" else "Play"
        pace.text = "%.0f %s".format(speeds[speed], unit)
    }
}
