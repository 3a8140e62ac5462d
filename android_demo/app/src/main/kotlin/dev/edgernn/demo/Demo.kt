package dev.edgernn.demo

import android.app.Application
import android.os.Bundle
import java.util.concurrent.Executor
import java.util.concurrent.Executors

/** Where the app's parts come from; a test puts others in their place. Nothing is read before it is asked for. */
open class DemoApplication : Application() {
    /** What was loaded lives as long as the process, so that a rotation loads nothing; set in the background. */
    @Volatile
    var demo: Demo? = null

    /** All reading, loading, timing and translating, one after the other. */
    open val background: Executor by lazy { Executors.newSingleThreadExecutor() }
    open val engines = EngineFactory(::LiteRtEngine)
    open val files = Assets { assets.open(it) }
}

/** Everything loaded: a part that could not be has a line in [problems] under its task. */
class Demo(
    val artifacts: List<Artifact>,
    val live: LiveSession?,
    val forecast: ForecastSession?,
    val translation: TranslationSession?,
    val problems: Map<String, String>,
) {
    /** What the model of an artefact carries from step to step; empty where it could not be opened. */
    fun stateOf(artifact: Artifact): List<TensorSpec> = when (artifact.manifest.task) {
        ANOMALY -> live?.states
        FORECAST -> forecast?.states
        else -> translation?.states
    }.orEmpty()

    fun save() = Bundle().apply {
        live?.let { putBundle(ANOMALY, it.save()) }
        forecast?.let { putBundle(FORECAST, it.save()) }
        translation?.let { putBundle(TRANSLATION, it.save()) }
    }

    fun restore(saved: Bundle) {
        saved.getBundle(ANOMALY)?.let { live?.restore(it) }
        saved.getBundle(FORECAST)?.let { forecast?.restore(it) }
        saved.getBundle(TRANSLATION)?.let { translation?.restore(it) }
    }

    companion object {
        const val ANOMALY = "anomaly"
        const val FORECAST = "forecast"
        const val TRANSLATION = "translate"
    }
}

/** Reads every artefact and opens its model; for the background. */
class DemoLoader(private val files: Assets, private val engines: EngineFactory) {
    private val problems = mutableMapOf<String, String>()

    fun load(): Demo {
        val reader = ArtifactReader(files)
        val folders = guarded(ALL) { reader.folders }.orEmpty()
        val artifacts = folders.mapNotNull { folder -> guarded(folder) { reader.read(folder) } }
        val byTask = artifacts.associateBy { it.manifest.task }
        return Demo(
            artifacts,
            byTask[Demo.ANOMALY]?.let { guarded(it.folder) { LiveSession(it, stream(it)) } },
            byTask[Demo.FORECAST]?.let { guarded(it.folder) { ForecastSession(it, stream(it)) } },
            byTask[Demo.TRANSLATION]?.let { guarded(it.folder) { TranslationSession(it, Translator(it, open(it))) } },
            problems,
        )
    }

    private fun stream(artifact: Artifact): Stream {
        val recording = artifact.recording
            ?: throw BadArtifact("${artifact.folder}: nothing recorded; run `make android-assets`")
        val model = StepModel(open(artifact)).checkedAgainst(artifact.manifest)
        return Stream(model, recording.stepMillis, recording.maxGapMillis)
    }

    private fun open(artifact: Artifact) = try {
        engines.open(artifact.model, Kernels.EXACT)
    } catch (error: RuntimeException) {
        throw BadArtifact("${artifact.folder}/${artifact.manifest.file}: refused by LiteRT (${error.message})", error)
    }

    private fun <T> guarded(part: String, read: () -> T): T? = try {
        read()
    } catch (error: BadArtifact) {
        problems[part] = error.message!!
        null
    }

    private companion object {
        const val ALL = "assets"
    }
}
