package dev.edgernn.demo

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A model of one time step: readings in real units in, results in real units out, states kept here.
 *
 * The same contract as `tflite.load` in Python. Scaling, calendar and missing readings (NaN) are in the graph; nothing
 * of them is known here. Which ends are states says the signature: those with one name on both sides. Not thread-safe.
 */
class StepModel(private val engine: Engine) : AutoCloseable {
    val inputs: List<TensorSpec>
    val outputs: List<TensorSpec>
    val states: States

    private val readings: Map<String, ByteBuffer>
    private val results: Map<String, ByteBuffer>

    init {
        if (STEP !in engine.signatures) {
            throw BadArtifact("the model has signatures ${engine.signatures}, expected $STEP; is it a step model?")
        }
        val (into, out) = engine.inputs(STEP) to engine.outputs(STEP)
        val carried = into.map { it.name }.toSet() intersect out.map { it.name }.toSet()
        inputs = into.filter { it.name !in carried }
        outputs = out.filter { it.name !in carried }
        states = States(into.filter { it.name in carried })
        (inputs + outputs).find { it.dtype != "float32" }?.let {
            throw BadArtifact("${it.name} is ${it.dtype}, expected float32: convert the model with ends = \"real\"")
        }
        readings = inputs.associate { it.name to it.buffer() }
        results = outputs.associate { it.name to it.buffer() }
    }

    /** Puts every state to real 0: at the start of a stream and after a gap. */
    fun reset() = states.reset()

    /**
     * Runs one time step of a model with one input.
     *
     * @param x readings in real units, NaN where one is missing.
     * @return by output name, in the order of the signature.
     */
    fun step(x: FloatArray): Map<String, FloatArray> {
        val input = inputs.single()
        require(x.size == input.elements) { "${input.name}: expected ${input.elements} readings, got ${x.size}" }
        readings.getValue(input.name).asFloats().put(x)
        engine.run(STEP, readings + states.now, results + states.next)
        states.advance()
        return outputs.associate { it.name to FloatArray(it.elements).also(results.getValue(it.name).asFloats()::get) }
    }

    override fun close() = engine.close()

    private companion object {
        const val STEP = "step"
    }
}

/** The floats of a buffer from its beginning. */
fun ByteBuffer.asFloats() = duplicate().order(ByteOrder.nativeOrder()).apply { rewind() }.asFloatBuffer()
