package dev.edgernn.demo

/** Step time in microseconds, of one form of one model. */
class Timing(val name: String, val p50: Double, val p99: Double, val steps: Int)

/** Times `step` alone, each call by itself; the readings are the recording's. */
class Benchmark(private val clock: () -> Long = System::nanoTime) {
    fun run(name: String, model: StepModel, readings: List<FloatArray>): Timing {
        model.reset()
        val taken = LongArray(WARM_UP + STEPS) {
            val begin = clock()
            model.step(readings[it % readings.size])
            clock() - begin
        }
        val sorted = taken.copyOfRange(WARM_UP, taken.size).apply { sort() }
        return Timing(name, quantile(sorted, 0.50), quantile(sorted, 0.99), STEPS)
    }

    private fun quantile(sorted: LongArray, share: Double) = sorted[(share * (sorted.size - 1)).toInt()] / 1e3

    companion object {
        const val WARM_UP = 200
        const val STEPS = 2000
    }
}
