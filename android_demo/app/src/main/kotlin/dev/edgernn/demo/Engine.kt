package dev.edgernn.demo

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * One end of a signature.
 *
 * @property elements without the batch dimension, which is 1.
 * @property zeroPoint the integer that stands for real 0; [scale] is 0 where the tensor holds real values.
 */
data class TensorSpec(
    val name: String,
    val dtype: String,
    val elements: Int,
    val scale: Float = 0f,
    val zeroPoint: Int = 0,
) {
    val bytes get() = elements * elementBytes

    private val elementBytes
        get() = when (dtype) {
            "int8", "uint8", "bool" -> 1
            "int16" -> 2
            "int64" -> 8
            "float32", "int32" -> 4
            else -> throw BadArtifact("tensor $name is $dtype, which this app cannot step; convert the model anew")
        }

    /** Memory for one value of this tensor, at real 0. */
    fun buffer(): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).also(::reset)

    /** Puts a buffer to real 0. */
    fun reset(buffer: ByteBuffer) {
        for (i in 0 until elements) {
            when (elementBytes) {
                1 -> buffer.put(i, zeroPoint.toByte())
                2 -> buffer.putShort(2 * i, zeroPoint.toShort())
                8 -> buffer.putLong(8 * i, zeroPoint.toLong())
                else -> buffer.putInt(4 * i, zeroPoint)
            }
        }
    }
}

/** A runtime that holds one model and runs its signatures; it keeps no state between calls. Not thread-safe. */
interface Engine : AutoCloseable {
    val signatures: Set<String>

    fun inputs(signature: String): List<TensorSpec>

    fun outputs(signature: String): List<TensorSpec>

    /** Runs a signature over direct buffers of native order, by name, each of exactly its tensor's bytes. */
    fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>)
}

/** Which kernels compute: [EXACT] gives the same integers on every machine, [FAST] is XNNPACK's rounding. */
enum class Kernels { EXACT, FAST }

fun interface EngineFactory {
    /** @param model the bytes of a .tflite in a direct buffer; the caller keeps it alive. */
    fun open(model: ByteBuffer, kernels: Kernels): Engine
}
