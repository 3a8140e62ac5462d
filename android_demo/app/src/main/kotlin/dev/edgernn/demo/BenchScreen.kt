package dev.edgernn.demo

import android.content.Context
import android.os.Handler
import android.os.Looper
import java.util.concurrent.Executor

/** Step time on this very phone, in both kinds of kernels. */
class BenchScreen(
    context: Context,
    private val demo: Demo,
    private val engines: EngineFactory,
    private val background: Executor,
) : Screen(context, "Bench") {
    private val main = Handler(Looper.getMainLooper())
    private val start = button("Time ${Benchmark.STEPS} steps of each model") { run() }
    private val result = label(14f)

    init {
        add(label(20f, bold = true).apply { text = "Time of a step" })
        val how = "One thread, each call timed by itself after ${Benchmark.WARM_UP} to warm up."
        add(label(13f, palette.faint).apply { text = how })
        add(start)
        add(result)
    }

    private fun run() {
        start.isEnabled = false
        result.text = "Running ..."
        background.execute {
            val streams = demo.artifacts.filter { it.recording != null }
            val lines = streams.flatMap { artifact -> Kernels.entries.map { line(artifact, it) } }
            main.post {
                result.text = lines.joinToString("\n\n")
                start.isEnabled = true
            }
        }
    }

    private fun line(artifact: Artifact, kernels: Kernels): String {
        val kind = if (kernels == Kernels.FAST) "XNNPACK" else "built-in"
        return StepModel(engines.open(artifact.model, kernels)).use { model ->
            val timing = Benchmark().run("${artifact.folder}, $kind", model, artifact.recording!!.x)
            "%s\np50 %.1f µs, p99 %.1f µs".format(timing.name, timing.p50, timing.p99)
        }
    }
}
