package dev.edgernn.demo

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/** What a person reads instead of a score: what is wrong with the files, and what to do. */
class BadArtifact(message: String, cause: Throwable? = null) : Exception(message, cause)

/** Assets by path; touches the disk, so never on the main thread. */
fun interface Assets {
    fun open(path: String): InputStream
}

/** A channel of the input, as the scenario names it. */
data class Channel(val name: String, val unit: String)

/** A gate of the scenario: what was measured, what is allowed. */
data class Budget(val name: String, val measured: Double?, val allowed: Double, val unit: String, val ok: Boolean)

/** Content of artifact.json: names and units; numbers of quantization are in the model itself. */
class Manifest(json: JSONObject) {
    val name: String = json.getString("name")
    val file: String = json.getString("tflite")
    val sha256: String = json.getString("sha256")
    val bytes = json.getInt("bytes")
    val activations: String = json.getString("activations")
    val task: String = json.optString("task")
    val tokenizer: JSONObject? = json.optJSONObject("tokenizer")
    val cell: String = json.optString("cell")
    val stepSeconds = json.optDouble("step_seconds")
    val threshold = json.optDouble("threshold", 1.0).toFloat()
    val states = json.optJSONArray("states").objects().map { it.getString("name") }
    val channels = json.optJSONArray("inputs").objects().flatMap { it.optJSONArray("columns").objects() }
        .map { Channel(it.getString("name"), it.getString("unit")) }

    /** Names behind the elements of `contributions`. */
    val blamed = json.optJSONArray("outputs").objects().flatMap { it.optJSONArray("channels").strings() }

    /** Of a forecast: its targets (lead after lead, each with every target) and its leads, in steps. */
    private val forecast = json.optJSONArray("outputs").objects().find { it.getString("name") == FORECAST }
    val targets = forecast?.optJSONArray("targets").strings()
    val leads = forecast?.optJSONArray("leads")?.let { it.getInt(0)..it.getInt(1) } ?: 1..1

    /** From the lowest to the highest of the quantiles; null where there are not two. */
    val interval = json.optJSONArray("outputs").objects().filter { it.has("quantile") }
        .sortedBy { it.getDouble("quantile") }.takeIf { it.size > 1 }?.let {
            val (low, high) = it.first() to it.last()
            val share = high.getDouble("quantile") - low.getDouble("quantile")
            Interval(low.getString("name"), high.getString("name"), share)
        }

    companion object {
        /** Name of the output that is the forecast itself. */
        const val FORECAST = "forecast"
    }
}

/** Names of the outputs that are the limits of a forecast; [share] of what comes is to lie between them. */
data class Interval(val low: String, val high: String, val share: Double)

/** A model with everything beside it, read and checked. */
class Artifact(
    val folder: String,
    val manifest: Manifest,
    val model: ByteBuffer,
    val budgets: List<Budget>,
    val recording: Recording?,
)

/** Reads what `make android-assets` wrote; whatever does not fit is a [BadArtifact]. */
class ArtifactReader(private val assets: Assets) {
    private val sums: JSONObject by lazy {
        checked(INDEX, String(content(INDEX))).optJSONObject("folders")
            ?: throw BadArtifact("$INDEX: damaged, no folders; $REMEDY")
    }

    val folders: List<String> get() = sums.keys().asSequence().toList().sorted()

    fun read(folder: String): Artifact = try {
        val manifest = Manifest(checked("$folder/$MANIFEST", text(folder, MANIFEST)))
        val model = bytes(folder, manifest.file)
        checkHash("$folder/${manifest.file}", model, manifest.sha256)
        val card = json("$folder/$CARD", text(folder, CARD))
        Artifact(folder, manifest, direct(model), budgets(card), recording(folder))
    } catch (error: JSONException) {
        throw BadArtifact("$folder: damaged (${error.message}); $REMEDY", error)
    }

    private fun recording(folder: String): Recording? {
        if (!sums.getJSONObject(folder).has(RECORDING)) return null
        val index = checked("$folder/$RECORDING", text(folder, RECORDING))
        val content = bytes(folder, "recording.bin")
        if (content.size != index.getInt("bytes")) {
            val expected = index.getInt("bytes")
            throw BadArtifact("$folder/recording.bin: ${content.size} bytes, $RECORDING says $expected; $REMEDY")
        }
        return Recording.read(index, content)
    }

    private fun text(folder: String, name: String) = String(bytes(folder, name))

    /** The bytes of a file, which must be those of the index. */
    private fun bytes(folder: String, name: String): ByteArray {
        val expected = sums.getJSONObject(folder).optString(name)
        if (expected.isEmpty()) throw BadArtifact("$folder/$name: not in $INDEX; $REMEDY")
        return content("$folder/$name").also { checkHash("$folder/$name", it, expected) }
    }

    private fun content(path: String): ByteArray = try {
        assets.open(path).use(InputStream::readBytes)
    } catch (error: IOException) {
        throw BadArtifact("$path: not found among the assets; $REMEDY", error)
    }

    private fun json(path: String, text: String) = try {
        JSONObject(text)
    } catch (error: JSONException) {
        throw BadArtifact("$path: damaged, not JSON; $REMEDY", error)
    }

    private fun budgets(card: JSONObject) = card.getJSONArray("budgets").objects().map {
        val measured = if (it.has("measured")) it.getDouble("measured") else null
        Budget(it.getString("budget"), measured, it.getDouble("allowed"), it.getString("unit"), it.getBoolean("ok"))
    }

    /** The JSON of a file, which must be of the format that this app reads. */
    private fun checked(path: String, text: String) = json(path, text).also {
        val found = it.opt("format")
        if (found != FORMAT) {
            throw BadArtifact("$path: format $found, this app reads $FORMAT; $REMEDY, or update the app")
        }
    }

    private fun checkHash(path: String, content: ByteArray, expected: String) {
        val actual = MessageDigest.getInstance("SHA-256").digest(content).joinToString("") { "%02x".format(it) }
        if (actual != expected) {
            throw BadArtifact("$path: sha256 ${actual.take(12)}..., expected ${expected.take(12)}...; $REMEDY")
        }
    }

    private fun direct(content: ByteArray): ByteBuffer =
        ByteBuffer.allocateDirect(content.size).order(ByteOrder.nativeOrder()).put(content).apply { rewind() }

    private companion object {
        const val FORMAT = 1
        const val INDEX = "index.json"
        const val MANIFEST = "artifact.json"
        const val CARD = "card.json"
        const val RECORDING = "recording.json"
        const val REMEDY = "run `make android-assets` and install again"
    }
}

/** The states of the model must be those the manifest speaks of. */
fun StepModel.checkedAgainst(manifest: Manifest) = apply {
    val found = states.specs.map { it.name }.toSet()
    if (found != manifest.states.toSet()) {
        throw BadArtifact(
            "${manifest.file}: states $found, artifact.json says ${manifest.states}; a model that keeps its state " +
                "inside cannot survive the end of the process: convert it with state = \"external\"",
        )
    }
}

fun JSONArray?.objects() = if (this == null) emptyList() else List(length(), ::getJSONObject)

fun JSONArray?.strings() = if (this == null) emptyList() else List(length(), ::getString)
