package dev.edgernn.demo

/** What a model said of one row. [restarted]: its states were reset before it. */
class Said(val time: Long, val x: FloatArray, val outputs: Map<String, FloatArray>, val restarted: Boolean)

/**
 * Rows as they arrive, put on the grid of the model.
 *
 * A hole longer than [maxGapMillis] resets the states; in a shorter one each bin without a row is a step of missing
 * readings, as the training data was laid on its grid. A row that is not newer than the last one is dropped.
 */
class Stream(val model: StepModel, private val stepMillis: Long, private val maxGapMillis: Long) {
    /** Epoch ms of the last row; null before the first one. */
    var last: Long? = null
        private set

    private val missing = FloatArray(model.inputs.single().elements) { Float.NaN }

    /** Forgets everything: the next row is the first. */
    fun restart() {
        last = null
        model.reset()
    }

    /** @return what the model says of the row, or null for a row that came too late. */
    fun feed(time: Long, x: FloatArray): Said? {
        val hole = last?.let { time - it } ?: stepMillis
        if (hole <= 0) return null
        val restarted = last == null || hole > maxGapMillis
        if (restarted) model.reset() else repeat((hole / stepMillis).toInt() - 1) { model.step(missing) }
        last = time
        return Said(time, x, model.step(x), restarted)
    }

    /** Goes on where another process stopped; a saved state of another model starts anew. */
    fun restore(last: Long?, states: Map<String, ByteArray>) {
        this.last = if (model.states.restore(states)) last else null
    }
}
