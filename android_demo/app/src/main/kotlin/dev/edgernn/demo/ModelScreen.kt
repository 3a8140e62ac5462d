package dev.edgernn.demo

import android.content.Context
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView

/** The card of every model: what it is, what it carries, and its budgets. */
class ModelScreen(context: Context, demo: Demo) : Screen(context, "Models") {
    private val list = LinearLayout(context).apply { orientation = LinearLayout.VERTICAL; setPadding(0, 0, dp(10), 0) }

    init {
        add(ScrollView(context).apply { addView(list) }, weight = 1f)
        demo.artifacts.forEach { show(it, demo.stateOf(it)) }
        demo.problems.values.forEach { problem -> list.addView(label(14f, palette.red).apply { text = problem }) }
    }

    private fun show(artifact: Artifact, states: List<TensorSpec>) {
        val manifest = artifact.manifest
        list.addView(label(18f, bold = true).apply { text = artifact.folder })
        line("file", manifest.file)
        line("sha256", manifest.sha256.take(16) + "...")
        line("bytes", "%,d".format(manifest.bytes))
        line("cell, activations", "${manifest.cell}, ${manifest.activations}")
        if (!manifest.stepSeconds.isNaN()) {
            line("a step", "%.0f s, %d channels".format(manifest.stepSeconds, manifest.channels.size))
        }
        line("state", "%,d bytes".format(states.sumOf { it.bytes }))
        states.forEach { line("  ${it.name}", "${it.dtype} × ${it.elements}") }
        val heading = label(14f, palette.faint).apply { text = "budgets: measured, allowed" }
        if (artifact.budgets.isNotEmpty()) list.addView(heading)
        artifact.budgets.forEach(::show)
        list.addView(TextView(context))
    }

    private fun show(budget: Budget) {
        val factor = if (budget.unit == "%") 100 else 1
        val measured = budget.measured?.let { figure(it * factor) } ?: "not measured"
        val color = if (budget.ok) palette.green else palette.red
        line("  ${budget.name.spoken()}", "$measured, ${figure(budget.allowed * factor)} ${budget.unit}", color)
    }

    private fun line(name: String, value: String, color: Int = palette.ink) {
        list.addView(row(label(13f, palette.faint).apply { text = name }, label(13f, color).apply { text = value }))
    }

    private fun figure(value: Double) =
        if (value >= 100) "%,.0f".format(value) else "%.3f".format(value).trimEnd('0').trimEnd('.')
}
