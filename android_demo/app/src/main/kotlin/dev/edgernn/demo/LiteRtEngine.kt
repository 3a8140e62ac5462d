package dev.edgernn.demo

import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import java.nio.ByteBuffer

/** LiteRT's interpreter, one thread: a step takes microseconds, threads would cost more than they give. */
class LiteRtEngine(model: ByteBuffer, kernels: Kernels) : Engine {
    private val interpreter = Interpreter(
        model,
        Interpreter.Options().setNumThreads(1).setUseXNNPACK(kernels == Kernels.FAST),
    ).apply { allocateTensors() }

    override val signatures: Set<String> = interpreter.signatureKeys.toSet()

    override fun inputs(signature: String) = interpreter.getSignatureInputs(signature)
        .map { spec(it, interpreter.getInputTensorFromSignature(it, signature)) }

    override fun outputs(signature: String) = interpreter.getSignatureOutputs(signature)
        .map { spec(it, interpreter.getOutputTensorFromSignature(it, signature)) }

    override fun run(signature: String, inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) {
        (inputs.values + outputs.values).forEach(ByteBuffer::rewind)
        interpreter.runSignature(inputs, outputs, signature)
    }

    override fun close() = interpreter.close()

    private fun spec(name: String, tensor: Tensor): TensorSpec {
        val (dtype, affine) = numpyName(tensor.dataType()) to tensor.quantizationParams()
        return TensorSpec(name, dtype, tensor.numElements(), affine.scale, affine.zeroPoint)
    }

    private fun numpyName(type: DataType) = when (type) {
        DataType.FLOAT32 -> "float32"
        DataType.INT8 -> "int8"
        DataType.INT16 -> "int16"
        DataType.INT32 -> "int32"
        DataType.INT64 -> "int64"
        DataType.BOOL -> "bool"
        else -> type.toString()
    }
}
