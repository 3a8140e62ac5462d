package dev.edgernn.demo

import java.nio.ByteBuffer

/** What a model carries from call to call, by the names the signature has on both sides. */
class States(val specs: List<TensorSpec>) {
    /** States to go into the next call. */
    var now = buffers()
        private set

    /** Where the call puts them. */
    var next = buffers()
        private set

    /** Puts every state to real 0. */
    fun reset() = specs.forEach { it.reset(now.getValue(it.name)) }

    /** What the call left becomes what the next one takes. */
    fun advance() {
        now = next.also { next = now }
    }

    /** Copies by name, for a process that may end. */
    fun save(): Map<String, ByteArray> = specs.associate { it.name to ByteArray(it.bytes).also(memory(it)::get) }

    /** @return false, and states at real 0, where the saved ones are not of this model. */
    fun restore(saved: Map<String, ByteArray>): Boolean {
        val fits = saved.keys == now.keys && specs.all { saved.getValue(it.name).size == it.bytes }
        if (fits) specs.forEach { memory(it).put(saved.getValue(it.name)) } else reset()
        return fits
    }

    private fun buffers() = specs.associate { it.name to it.buffer() }

    private fun memory(spec: TensorSpec): ByteBuffer = now.getValue(spec.name).duplicate().apply { rewind() }
}
