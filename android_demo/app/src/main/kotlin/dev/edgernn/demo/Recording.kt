package dev.edgernn.demo

import org.json.JSONObject
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A recorded stream and what the model must say of it, as Python's LiteRT did.
 *
 * @property time epoch ms, rising; a row that never came is absent.
 * @property x a row of readings in real units, NaN where one is missing.
 * @property outputs by name, a row for each of [x].
 * @property truth by name, what a person knows beside it.
 */
class Recording(
    val stepMillis: Long,
    val maxGapMillis: Long,
    val time: LongArray,
    val x: List<FloatArray>,
    val outputs: Map<String, List<FloatArray>>,
    val truth: Map<String, List<FloatArray>>,
) {
    val size get() = time.size

    companion object {
        /** @param index content of recording.json. */
        fun read(index: JSONObject, content: ByteArray): Recording {
            val rows = index.getInt("rows")
            val source = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
            var time = LongArray(0)
            val arrays = mutableMapOf<String, List<FloatArray>>()
            for (array in index.getJSONArray("arrays").objects()) {
                val (name, width) = array.getString("name") to array.getInt("width")
                if (array.getString("dtype") == "int64") time = LongArray(rows) { source.long }
                else arrays[name] = List(rows) { FloatArray(width) { source.float } }
            }
            fun side(prefix: String) =
                arrays.filterKeys { it.startsWith(prefix) }.mapKeys { it.key.removePrefix(prefix) }
            val (step, gap) = index.getLong("step_ms") to index.getLong("max_gap_ms")
            return Recording(step, gap, time, arrays.getValue("x"), side("output/"), side("truth/"))
        }
    }
}
