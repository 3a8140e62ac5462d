package dev.edgernn.demo

import com.sun.jna.Function
import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.NativeLibrary
import com.sun.jna.Pointer
import com.sun.jna.ptr.LongByReference
import com.sun.jna.ptr.PointerByReference
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The genuine LiteRT on this machine: the shared library of the Python wheel, through its C interface.
 *
 * The system property `edgernn.litert` says where it lies. Handles live as long as the process: tests are short.
 */
class NativeEngine(model: ByteBuffer, kernels: Kernels) : Engine {
    private class Signature(val index: Long, val inputs: List<Port>, val outputs: List<Port>)

    private class Port(val spec: TensorSpec, val buffer: Pointer)

    private val content = model.duplicate().apply { rewind() } // LiteRT reads it while the engine lives
    private val compiled: Pointer
    private val byName: Map<String, Signature>

    init {
        val loaded = created("LiteRtCreateModelFromBuffer", environment, Native.getDirectBufferPointer(content), content.limit().toLong())
        val options = created("LiteRtCreateOptions")
        call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        call("LiteRtAddOpaqueOptions", options, cpuOptions(kernels))
        compiled = created("LiteRtCreateCompiledModel", environment, loaded, options)
        byName = (0 until number("LiteRtGetNumModelSignatures", loaded)).associate { index ->
            val signature = created("LiteRtGetModelSignature", loaded, index)
            created("LiteRtGetSignatureKey", signature).getString(0) to
                Signature(index, ports(signature, index, "Input"), ports(signature, index, "Output"))
        }
    }

    override val signatures get() = byName.keys

    override fun inputs(signature: String) = byName.getValue(signature).inputs.map { it.spec }

    override fun outputs(signature: String) = byName.getValue(signature).outputs.map { it.spec }

    override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) {
        val (into, out) = byName.getValue(signature).let { it.inputs to it.outputs }
        into.forEach { port -> locked(port, WRITE) { it.put(rewound(inputs.getValue(port.spec.name))) } }
        val index = byName.getValue(signature).index
        call("LiteRtRunCompiledModel", compiled, index, into.size.toLong(), handles(into), out.size.toLong(), handles(out))
        out.forEach { port -> locked(port, READ) { rewound(outputs.getValue(port.spec.name)).put(it) } }
    }

    override fun close() = Unit

    private fun ports(signature: Pointer, index: Long, side: String): List<Port> =
        (0 until number("LiteRtGetNumSignature${side}s", signature)).map { i ->
            val name = created("LiteRtGetSignature${side}Name", signature, i).getString(0)
            val tensor = created("LiteRtGetSignature${side}TensorByIndex", signature, i)
            val type = Memory(RANKED_TYPE_BYTES).apply { clear() }
            call("LiteRtGetRankedTensorType", tensor, type)
            val needed = created("LiteRtGetCompiledModel${side}BufferRequirements", compiled, index, i)
            val buffer = created("LiteRtCreateManagedTensorBufferFromRequirements", environment, type, needed)
            Port(spec(name, tensor, type), buffer)
        }

    /** The layout of LiteRtRankedTensorType: element type, rank in the low bits of the second word, dimensions. */
    private fun spec(name: String, tensor: Pointer, type: Memory): TensorSpec {
        val rank = type.getInt(4) and 0x7f
        val elements = (0 until rank).fold(1) { product, i -> product * type.getInt(8 + 4L * i) }
        val dtype = DTYPES[type.getInt(0)] ?: error("element type ${type.getInt(0)} of $name")
        val kind = Memory(4).also { call("LiteRtGetQuantizationTypeId", tensor, it) }.getInt(0)
        if (kind != PER_TENSOR) return TensorSpec(name, dtype, elements)
        val affine = Memory(16).also { call("LiteRtGetPerTensorQuantization", tensor, it) }
        return TensorSpec(name, dtype, elements, affine.getFloat(0), affine.getLong(8).toInt())
    }

    private fun locked(port: Port, mode: Int, use: (ByteBuffer) -> Unit) {
        val memory = PointerByReference()
        call("LiteRtLockTensorBuffer", port.buffer, memory, mode)
        use(memory.value.getByteBuffer(0, port.spec.bytes.toLong()).order(ByteOrder.nativeOrder()))
        call("LiteRtUnlockTensorBuffer", port.buffer)
    }

    private fun handles(ports: List<Port>) = Memory(8L * maxOf(ports.size, 1)).apply { ports.forEachIndexed { i, port -> setPointer(8L * i, port.buffer) } }

    private fun rewound(buffer: ByteBuffer) = buffer.duplicate().apply { rewind() }

    private companion object {
        const val CPU = 1
        const val READ = 0
        const val WRITE = 1
        const val PER_TENSOR = 1
        const val RANKED_TYPE_BYTES = 256L
        val DTYPES = mapOf(1 to "float32", 2 to "int32", 4 to "int64", 6 to "bool", 7 to "int16", 9 to "int8")

        val library: NativeLibrary = NativeLibrary.getInstance(System.getProperty("edgernn.litert") ?: error("edgernn.litert is not set; run `make android-test`"))
        val environment: Pointer by lazy { created("LiteRtCreateEnvironment", 0, null) }

        /** The options of the CPU are TOML under the name "xnnpack"; LiteRT frees what it was given. */
        fun cpuOptions(kernels: Kernels): Pointer {
            val c = NativeLibrary.getInstance("c")
            val toml = "num_threads = 1\nkernel_mode = ${if (kernels == Kernels.FAST) 0 else 2}\n"
            val copy = c.getFunction("strdup").invokePointer(arrayOf(toml))
            return created("LiteRtCreateOpaqueOptions", "xnnpack", copy, c.getFunction("free"))
        }

        fun call(name: String, vararg arguments: Any?) {
            val status = function(name).invokeInt(arguments)
            if (status != 0) throw IllegalArgumentException("$name: status $status")
        }

        /** What a function puts behind its last argument. */
        fun created(name: String, vararg arguments: Any?) = PointerByReference().also { call(name, *arguments, it) }.value!!

        fun number(name: String, of: Pointer) = LongByReference().also { call(name, of, it) }.value

        private fun function(name: String): Function = library.getFunction(name)
    }
}
