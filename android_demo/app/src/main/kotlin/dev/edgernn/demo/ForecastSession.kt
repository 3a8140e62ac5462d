package dev.edgernn.demo

import android.os.Bundle
import kotlin.math.abs

/** The forecast screen without its pixels: step by step through a recording, the forecast beside what then came. */
class ForecastSession(private val artifact: Artifact, private val stream: Stream) {
    private val recording = requireNotNull(artifact.recording) { "${artifact.folder}: nothing recorded" }
    private val manifest = artifact.manifest
    private val target = manifest.channels.indexOfFirst { it.name == manifest.targets.firstOrNull() }

    /** Outputs that are kept: the forecast, and the limits of its interval where the model has one. */
    private val lines = listOf(Manifest.FORECAST) + listOfNotNull(interval?.low, interval?.high)

    /** Of each row, each of [lines] of the first target at every lead. */
    private val made = ArrayDeque<List<FloatArray>>()

    val interval get() = manifest.interval
    val leads get() = manifest.leads
    val states get() = stream.model.states.specs
    val channel get() = manifest.channels[target]
    val time get() = recording.time[maxOf(position - 1, 0)]

    /** The next row of the recording. */
    var position = 0
        private set

    val finished get() = position >= recording.size

    /** Sums over all rows, for each lead: absolute error and truth. Their quotient is the WAPE. */
    private val errors = DoubleArray(leads.count())
    private val truths = DoubleArray(leads.count())

    init {
        val found = stream.model.outputs.associate { it.name to it.elements }
        if (target < 0 || lines.any { found[it] != leads.count() * manifest.targets.size }) {
            throw BadArtifact(
                "${artifact.folder}/${manifest.file}: outputs $found, expected $lines of leads $leads of inputs; " +
                    "run `make android-assets` and install again",
            )
        }
    }

    /** The newest forecast of the first target at every lead; null before the first row. */
    val forecast: FloatArray? get() = made.lastOrNull()?.first()

    /** The limits of [forecast]; null before the first row and for a model without quantiles. */
    val limits: Pair<FloatArray, FloatArray>?
        get() = made.lastOrNull()?.takeIf { interval != null }?.let { it[1] to it[2] }

    /** Truth of the steps [from] ..< [until], counted from the newest row (0); NaN beyond the recording. */
    fun truth(from: Int, until: Int) = FloatArray(until - from) { i ->
        recording.x.getOrNull(position - 1 + from + i)?.get(target) ?: Float.NaN
    }

    /** What was forecast [lead] steps ahead for the same steps as [truth]; NaN where no forecast was made. */
    fun forecastBefore(lead: Int, from: Int, until: Int) = before(0, lead, from, until)

    /** The limits of [forecastBefore]; null for a model without quantiles. */
    fun limitsBefore(lead: Int, from: Int, until: Int) =
        interval?.let { before(1, lead, from, until) to before(2, lead, from, until) }

    private fun before(line: Int, lead: Int, from: Int, until: Int) = FloatArray(until - from) { i ->
        made.getOrNull(made.lastIndex + from + i - lead)?.get(line)?.get(lead - leads.first) ?: Float.NaN
    }

    /** Weighted absolute percentage error at a lead, of the rows so far; NaN before there is one. */
    fun wape(lead: Int) = errors[lead - leads.first] / truths[lead - leads.first]

    fun advance(rows: Int) = repeat(minOf(rows, recording.size - position)) {
        val row = position++
        val said = stream.feed(recording.time[row], recording.x[row]) ?: return@repeat
        if (said.restarted) made.clear()
        val all = lines.map(said.outputs::getValue)
        made.addLast(all.map { line -> FloatArray(leads.count()) { line[it * manifest.targets.size] } })
        if (made.size > KEPT) made.removeFirst()
        judge(recording.x[row][target])
    }

    fun restart() {
        stream.restart()
        made.clear()
        errors.fill(0.0)
        truths.fill(0.0)
        position = 0
    }

    private fun judge(truth: Float) {
        if (truth.isNaN()) return
        for (i in errors.indices) {
            val forecast = made.getOrNull(made.lastIndex - leads.first - i)?.first()?.get(i) ?: continue
            errors[i] += abs(forecast - truth).toDouble()
            truths[i] += truth.toDouble()
        }
    }

    fun save() = Bundle().apply {
        putString(MODEL, manifest.sha256)
        putInt("position", position)
        stream.last?.let { putLong("last", it) }
        putBundle("states", stream.model.states.save().toBundle())
        putFloatArray("made", made.flatten().flatMap { it.asList() }.toFloatArray())
        putDoubleArray("errors", errors)
        putDoubleArray("truths", truths)
    }

    fun restore(saved: Bundle) {
        if (saved.getString(MODEL) != manifest.sha256) return
        val last = saved.getLong("last").takeIf { saved.containsKey("last") }
        stream.restore(last, saved.getBundle("states")!!.toBytes())
        position = saved.getInt("position")
        val each = saved.getFloatArray("made")!!.asList().chunked(leads.count()) { it.toFloatArray() }
        made.addAll(each.chunked(lines.size))
        saved.getDoubleArray("errors")!!.copyInto(errors)
        saved.getDoubleArray("truths")!!.copyInto(truths)
    }

    private companion object {
        /** Forecasts kept: those of the chart and of the longest lead behind them. */
        const val KEPT = 128
    }
}
