package dev.edgernn.demo

import android.os.Bundle

/** A span with the alarm on: rows by their epoch ms; [channel] contributed most when it began, "" if not known. */
data class Alarm(val begin: Long, val end: Long, val channel: String)

/** One row of the past. */
class Moment(val time: Long, val x: FloatArray, val score: Float, val alarm: Boolean, val restarted: Boolean)

/** The live screen without its pixels: rows of a recording go through the model, scores and alarms come out. */
class LiveSession(private val artifact: Artifact, private val stream: Stream) {
    private val recording = requireNotNull(artifact.recording) { "${artifact.folder}: nothing recorded" }
    private val manifest = artifact.manifest
    private val past = ArrayDeque<Moment>()
    private val raised = mutableListOf<Alarm>()

    val channels get() = manifest.channels
    val states get() = stream.model.states.specs
    val threshold get() = manifest.threshold
    val history: List<Moment> get() = past
    val alarms: List<Alarm> get() = raised

    /** Index among [channels] of what the newest alarm blames. */
    val blamed get() = raised.lastOrNull()
        ?.let { alarm -> channels.indexOfFirst { it.name == alarm.channel } }?.takeIf { it >= 0 }

    /** The next row of the recording. */
    var position = 0
        private set

    val finished get() = position >= recording.size

    /** Feeds the next rows, as many as there are. */
    fun advance(rows: Int) = repeat(minOf(rows, recording.size - position)) {
        stream.feed(recording.time[position], recording.x[position])?.let(::take)
        position++
    }

    fun restart() {
        stream.restart()
        past.clear()
        raised.clear()
        position = 0
    }

    private fun take(said: Said) {
        val score = said.outputs.getValue("score")[0]
        val alarm = said.outputs["alarm"]?.let { it[0] > 0.5f } ?: (score >= threshold)
        val before = past.lastOrNull()
        val goesOn = alarm && before?.alarm == true && !said.restarted
        if (goesOn) raised[raised.lastIndex] = raised.last().copy(end = said.time)
        else if (alarm) raised += Alarm(said.time, said.time, blamed(said.outputs["contributions"]))
        past.addLast(Moment(said.time, said.x, score, alarm, said.restarted))
        if (past.size > KEPT) past.removeFirst()
    }

    private fun blamed(contributions: FloatArray?): String =
        contributions?.let { parts -> manifest.blamed.getOrNull(parts.indices.maxBy(parts::get)) }.orEmpty()

    fun save() = Bundle().apply {
        putString(MODEL, manifest.sha256)
        putInt("position", position)
        stream.last?.let { putLong("last", it) }
        putBundle("states", stream.model.states.save().toBundle())
        putLongArray("times", past.map { it.time }.toLongArray())
        putFloatArray("scores", past.map { it.score }.toFloatArray())
        putFloatArray("x", past.flatMap { it.x.asList() }.toFloatArray())
        putBooleanArray("on", past.map { it.alarm }.toBooleanArray())
        putBooleanArray("restarted", past.map { it.restarted }.toBooleanArray())
        putLongArray("begins", raised.map { it.begin }.toLongArray())
        putLongArray("ends", raised.map { it.end }.toLongArray())
        putStringArray("blamed", raised.map { it.channel }.toTypedArray())
    }

    /** Goes on where a saved session stopped; one of another model is not used. */
    fun restore(saved: Bundle) {
        if (saved.getString(MODEL) != manifest.sha256) return
        val last = saved.getLong("last").takeIf { saved.containsKey("last") }
        stream.restore(last, saved.getBundle("states")!!.toBytes())
        position = saved.getInt("position")
        val times = saved.getLongArray("times")!!
        val (scores, x) = saved.getFloatArray("scores")!! to saved.getFloatArray("x")!!
        val (on, restarted) = saved.getBooleanArray("on")!! to saved.getBooleanArray("restarted")!!
        val width = channels.size
        times.indices.mapTo(past) {
            Moment(times[it], x.copyOfRange(it * width, (it + 1) * width), scores[it], on[it], restarted[it])
        }
        val (begins, ends) = saved.getLongArray("begins")!! to saved.getLongArray("ends")!!
        val blamed = saved.getStringArray("blamed")!!
        begins.indices.mapTo(raised) { Alarm(begins[it], ends[it], blamed[it]) }
    }

    companion object {
        /** Rows kept for the charts. */
        const val KEPT = 600
    }
}

/** Key of the sha256 of the model that a saved session is of. */
const val MODEL = "model"

fun Map<String, ByteArray>.toBundle() = Bundle().also { forEach(it::putByteArray) }

fun Bundle.toBytes(): Map<String, ByteArray> = keySet().associateWith { getByteArray(it)!! }
