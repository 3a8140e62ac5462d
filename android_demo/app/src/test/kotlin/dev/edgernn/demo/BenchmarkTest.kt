package dev.edgernn.demo

import org.junit.Assert.assertEquals
import org.junit.Test
import java.nio.ByteBuffer

class BenchmarkTest {
    private class Echo : Engine {
        override val signatures = setOf("step")
        override fun inputs(signature: String) = listOf(TensorSpec("x", "float32", 1))
        override fun outputs(signature: String) = listOf(TensorSpec("y", "float32", 1))
        override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) = Unit
        override fun close() = Unit
    }

    @Test
    fun `warm-up steps are not counted, quantiles are`() {
        var (now, calls) = 0L to 0
        val clock = {
            val step = calls / 2 - Benchmark.WARM_UP
            if (calls++ % 2 == 1) now += if (step < 0) 1_000_000 else if (step < 1970) 2_000L else 50_000L
            now
        }
        val timing = Benchmark(clock).run("echo", StepModel(Echo()), listOf(floatArrayOf(0f)))
        assertEquals(2.0, timing.p50, 0.0)
        assertEquals(50.0, timing.p99, 0.0)
    }
}
