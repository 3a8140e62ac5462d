package dev.edgernn.demo

import android.content.Context
import android.content.res.Configuration
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.DashPathEffect
import android.graphics.Paint
import android.graphics.Path
import android.view.View

/** A line of a chart, a value for each place from left to right; NaN breaks it. */
class Series(val values: FloatArray, val color: Int, val dashed: Boolean = false, val name: String = "")

/** What lies between two lines, behind all lines; NaN breaks it. */
class Band(val low: FloatArray, val high: FloatArray, val color: Int, val name: String)

/** Colours for light and dark. */
class Palette(context: Context) {
    private val mode = context.resources.configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK
    private val night = mode == Configuration.UI_MODE_NIGHT_YES
    val paper = if (night) 0xFF101418.toInt() else Color.WHITE
    val ink = if (night) 0xFFE6E9EC.toInt() else 0xFF1A2026.toInt()
    val faint = if (night) 0xFF7D8790.toInt() else 0xFF77818A.toInt()
    val grid = if (night) 0xFF2A3138.toInt() else 0xFFE3E7EA.toInt()
    val blue = if (night) 0xFF6FB1FF.toInt() else 0xFF1F6FD0.toInt()
    val orange = if (night) 0xFFFFB05C.toInt() else 0xFFC96A00.toInt()
    val green = if (night) 0xFF69D08A.toInt() else 0xFF1B8A45.toInt()
    val red = if (night) 0xFFFF7A70.toInt() else 0xFFC62828.toInt()
    val alarm = if (night) 0x40FF7A70 else 0x22C62828
    val band = if (night) 0x50FFB05C else 0x40C96A00
}

/** Lines over equal steps, with a threshold, marked spans and a scale; draws what it is given and computes nothing. */
class ChartView(context: Context) : View(context) {
    private val palette = Palette(context)
    private val density = resources.displayMetrics.density
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = 1.6f * density
        strokeJoin = Paint.Join.ROUND
    }
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply { textSize = 12 * density }
    private val fill = Paint()

    var title = ""
    var unit = ""
    var series = emptyList<Series>()
    var threshold: Float? = null
    var band: Band? = null

    /** Places drawn with the alarm behind them. */
    var marked = BooleanArray(0)

    /** Place of a vertical line, such as "now". */
    var now: Int? = null

    /** Least values the scale has to hold. */
    var atLeast: ClosedFloatingPointRange<Float>? = null

    override fun onDraw(canvas: Canvas) {
        val lines = series.map { it.values } + listOfNotNull(band?.low, band?.high)
        val finite = lines.flatMap { it.asList() }.filter(Float::isFinite) + listOfNotNull(threshold)
        var low = minOf(finite.minOrNull() ?: 0f, atLeast?.start ?: Float.POSITIVE_INFINITY)
        var high = maxOf(finite.maxOrNull() ?: 1f, atLeast?.endInclusive ?: Float.NEGATIVE_INFINITY)
        if (high - low < 1e-3f * maxOf(1f, kotlin.math.abs(high))) {
            low -= 0.5f
            high += 0.5f
        }
        val frame = Frame(low, high, series.maxOfOrNull { it.values.size } ?: 2)
        drawMarks(canvas, frame)
        drawScale(canvas, frame)
        band?.let { drawBand(canvas, frame, it) }
        threshold?.let { drawLine(canvas, frame, FloatArray(frame.places) { _ -> it }, palette.red, dashed = true) }
        now?.let { drawNow(canvas, frame.x(it), frame) }
        series.forEach { drawLine(canvas, frame, it.values, it.color, it.dashed) }
        drawTitle(canvas)
    }

    private inner class Frame(val low: Float, val high: Float, val places: Int) {
        val top = 26 * density
        val bottom = height - 8 * density
        val left = 44 * density
        val right = width - 8 * density

        fun x(place: Int) = left + (right - left) * place / maxOf(places - 1, 1)

        fun y(value: Float) = bottom - (bottom - top) * (value - low) / (high - low)
    }

    private fun drawNow(canvas: Canvas, x: Float, frame: Frame) {
        line.color = palette.faint
        line.pathEffect = null
        canvas.drawLine(x, frame.top, x, frame.bottom, line)
    }

    private fun drawMarks(canvas: Canvas, frame: Frame) {
        fill.color = palette.alarm
        val half = (frame.x(1) - frame.x(0)) / 2
        marked.forEachIndexed { place, on ->
            if (on) canvas.drawRect(frame.x(place) - half, frame.top, frame.x(place) + half, frame.bottom, fill)
        }
    }

    private fun drawScale(canvas: Canvas, frame: Frame) {
        text.color = palette.faint
        text.textAlign = Paint.Align.RIGHT
        for (share in listOf(0f, 0.5f, 1f)) {
            val value = frame.low + share * (frame.high - frame.low)
            fill.color = palette.grid
            canvas.drawRect(frame.left, frame.y(value), frame.right, frame.y(value) + density, fill)
            val figure = short(value, frame.high - frame.low)
            canvas.drawText(figure, frame.left - 6 * density, frame.y(value) + 4 * density, text)
        }
    }

    private fun drawBand(canvas: Canvas, frame: Frame, band: Band) {
        fill.color = band.color
        val known = BooleanArray(band.low.size) { band.low[it].isFinite() && band.high[it].isFinite() }
        for (place in 1 until known.size) {
            if (!known[place - 1] || !known[place]) continue
            canvas.drawPath(
                Path().apply {
                    moveTo(frame.x(place - 1), frame.y(band.low[place - 1]))
                    lineTo(frame.x(place - 1), frame.y(band.high[place - 1]))
                    lineTo(frame.x(place), frame.y(band.high[place]))
                    lineTo(frame.x(place), frame.y(band.low[place]))
                    close()
                },
                fill,
            )
        }
    }

    private fun drawLine(canvas: Canvas, frame: Frame, values: FloatArray, color: Int, dashed: Boolean) {
        val path = Path()
        var broken = true
        values.forEachIndexed { place, value ->
            if (value.isFinite()) {
                if (broken) path.moveTo(frame.x(place), frame.y(value)) else path.lineTo(frame.x(place), frame.y(value))
            }
            broken = !value.isFinite()
        }
        line.color = color
        line.pathEffect = if (dashed) DashPathEffect(floatArrayOf(5 * density, 4 * density), 0f) else null
        canvas.drawPath(path, line)
    }

    private fun drawTitle(canvas: Canvas) {
        text.textAlign = Paint.Align.LEFT
        text.color = palette.ink
        var x = 8 * density
        canvas.drawText(if (unit.isEmpty()) title else "$title, $unit", x, 16 * density, text)
        x += text.measureText(if (unit.isEmpty()) title else "$title, $unit") + 14 * density
        val named = series.map { it.name to it.color } + listOfNotNull(band?.let { it.name to (it.color or OPAQUE) })
        for ((name, color) in named.filter { it.first.isNotEmpty() }) {
            text.color = color
            canvas.drawText(name, x, 16 * density, text)
            x += text.measureText(name) + 12 * density
        }
    }

    private fun short(value: Float, span: Float) = when {
        span >= 20 -> "%.0f".format(value)
        span >= 2 -> "%.1f".format(value)
        else -> "%.2f".format(value)
    }

    private companion object {
        const val OPAQUE = 0xFF000000.toInt()
    }
}
