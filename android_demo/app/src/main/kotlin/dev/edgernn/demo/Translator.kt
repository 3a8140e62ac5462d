package dev.edgernn.demo

import android.os.Bundle
import java.nio.ByteBuffer

/**
 * A model with the signatures `encode` and `decode`: the states that one leaves are those the other begins with, and what
 * else it gives last every call of the other is given.
 */
class Translator(artifact: Artifact, private val engine: Engine) {
    val tokenizer = artifact.manifest.tokenizer?.let(::Tokenizer)
        ?: throw BadArtifact("${artifact.folder}: artifact.json has no tokenizer; run `make android-assets`")
    private val encode = Call("encode")
    private val decode = Call("decode")
    val states: States
    private val logits: TensorSpec
    private val given: Map<String, ByteBuffer>

    init {
        val carried = decode.outputs.filter { out -> decode.inputs.any { it.name == out.name } }
        states = States(decode.inputs.filter { input -> carried.any { it.name == input.name } })
        logits = decode.outputs.single { it !in carried }
        given = encode.outputs.filter { it.name !in states.now }.associate { it.name to it.buffer() }
    }

    /** Greedy: at every place the best sub-word, until the end or as many as the model was made for. */
    fun translate(sentence: String): List<Int> {
        states.reset()
        val source = tokenizer.encode(sentence).take(tokenizer.longest)
        if (source.isEmpty()) return emptyList()
        for (token in source.reversed() + tokenizer.end) encode.run(token, emptyMap(), given)
        val scores = logits.buffer()
        val values = FloatArray(logits.elements)
        val written = mutableListOf<Int>()
        var token = tokenizer.start
        while (written.size < tokenizer.longest) {
            decode.run(token, given, mapOf(logits.name to scores))
            scores.asFloats().get(values)
            token = tokenizer.choose(values)
            if (token == tokenizer.end) break
            written += token
        }
        return written
    }

    private inner class Call(private val signature: String) {
        init {
            if (signature !in engine.signatures) {
                throw BadArtifact("the model has signatures ${engine.signatures}, expected $signature")
            }
        }

        val inputs = engine.inputs(signature)
        val outputs = engine.outputs(signature)
        private val token by lazy { inputs.single { it.name !in states.now + given } }
        private val taken by lazy { token.buffer() }

        fun run(id: Int, read: Map<String, ByteBuffer>, results: Map<String, ByteBuffer>) {
            taken.putInt(0, id)
            engine.run(signature, states.now + read + (token.name to taken), states.next + results)
            states.advance()
        }
    }
}

/** The translation screen without its pixels. */
class TranslationSession(
    artifact: Artifact,
    private val translator: Translator,
    private val clock: () -> Long = System::nanoTime,
) {
    private val model = artifact.manifest.sha256
    val states get() = translator.states.specs
    var sentence = ""
    var translation = ""
        private set
    var detail = ""
        private set

    fun translate(typed: String) {
        sentence = typed
        val begin = clock()
        val ids = translator.translate(typed)
        val source = translator.tokenizer.encode(typed)
        translation = translator.tokenizer.decode(ids)
        val longest = translator.tokenizer.longest
        detail = listOfNotNull(
            "${source.size} sub-words in, ${ids.size} out, %.1f ms".format((clock() - begin) / 1e6),
            "Only the first $longest sub-words were read.".takeIf { source.size > longest },
            "Some characters are unknown to the model.".takeIf { translator.tokenizer.unknown in source },
        ).joinToString("\n")
    }

    fun save() = Bundle().apply {
        putString(MODEL, model)
        putString("sentence", sentence)
        putString("translation", translation)
        putString("detail", detail)
    }

    fun restore(saved: Bundle) {
        sentence = saved.getString("sentence").orEmpty()
        if (saved.getString(MODEL) != model) return
        translation = saved.getString("translation").orEmpty()
        detail = saved.getString("detail").orEmpty()
    }
}
