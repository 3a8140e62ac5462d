package dev.edgernn.demo

import android.app.Activity
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.os.SystemClock
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.FrameLayout
import android.widget.HorizontalScrollView
import android.widget.LinearLayout
import android.widget.TextView

/** The tabs and the clock. Start-up builds views only: whatever touches the disk runs in the background. */
class MainActivity : Activity() {
    private val app get() = application as DemoApplication
    private val main = Handler(Looper.getMainLooper())
    private val padding get() = (PADDING_DP * resources.displayMetrics.density).toInt()
    private lateinit var palette: Palette
    private lateinit var tabs: LinearLayout
    private lateinit var content: FrameLayout
    private var screens = emptyList<Screen>()
    private var shown = 0
    private var resumed = false
    private var ticked = 0L

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        palette = Palette(this)
        tabs = LinearLayout(this)
        content = FrameLayout(this)
        setContentView(frame())
        shown = saved?.getInt(SHOWN) ?: 0
        app.demo?.let { show(it, saved) } ?: load(saved)
    }

    override fun onSaveInstanceState(out: Bundle) {
        super.onSaveInstanceState(out)
        out.putInt(SHOWN, shown)
        app.demo?.let { out.putBundle(SESSIONS, it.save()) }
        screens.forEach { screen -> out.putBundle(screen.name, Bundle().also(screen::save)) }
    }

    override fun onResume() {
        super.onResume()
        resumed = true
        screens.getOrNull(shown)?.onShown()
        ticked = SystemClock.uptimeMillis()
        main.post(::tick)
    }

    override fun onPause() {
        resumed = false
        main.removeCallbacksAndMessages(null)
        screens.getOrNull(shown)?.onHidden()
        super.onPause()
    }

    private fun load(saved: Bundle?) {
        content.addView(padded("Loading ..."))
        app.background.execute {
            val loaded = app.demo ?: loaded(saved?.getBundle(SESSIONS))
            app.demo = loaded
            runOnUiThread { if (!isDestroyed) show(loaded, saved) }
        }
    }

    private fun loaded(sessions: Bundle?) =
        DemoLoader(app.files, app.engines).load().also { demo -> sessions?.let(demo::restore) }

    private fun show(loaded: Demo, saved: Bundle?) {
        screens = screensOf(loaded)
        screens.forEach { screen -> saved?.getBundle(screen.name)?.let(screen::restore) }
        tabs.removeAllViews()
        screens.forEachIndexed { i, screen ->
            tabs.addView(padded(screen.name).apply { setOnClickListener { select(i) } })
        }
        select(shown.coerceIn(screens.indices))
    }

    private fun screensOf(demo: Demo): List<Screen> {
        val problems = demo.problems.values.joinToString("\n\n")
            .ifEmpty { "No such model among the assets: run `make android-assets` and install again." }
        return listOf(
            demo.live?.let { LiveScreen(this, it) } ?: ProblemScreen(this, "Live", problems),
            demo.forecast?.let { ForecastScreen(this, it) } ?: ProblemScreen(this, "Forecast", problems),
            demo.translation?.let { TranslateScreen(this, it, app.background) }
                ?: ProblemScreen(this, "Translate", problems),
            ModelScreen(this, demo),
            BenchScreen(this, demo, app.engines, app.background),
        )
    }

    private fun padded(title: String) = TextView(this).apply {
        text = title
        textSize = 15f
        setPadding(padding, padding, padding, padding)
    }

    private fun select(index: Int) {
        if (resumed) screens[shown].onHidden()
        shown = index
        content.removeAllViews()
        content.addView(screens[index].view, MATCH_PARENT, MATCH_PARENT)
        for (i in 0 until tabs.childCount) {
            (tabs.getChildAt(i) as TextView).setTextColor(if (i == index) palette.blue else palette.faint)
        }
        if (resumed) screens[index].onShown()
    }

    private fun tick() {
        if (!resumed) return
        val now = SystemClock.uptimeMillis()
        screens.getOrNull(shown)?.onTick((now - ticked) / 1e3)
        ticked = now
        main.postDelayed(::tick, TICK_MILLIS)
    }

    private fun frame() = LinearLayout(this).apply {
        orientation = LinearLayout.VERTICAL
        fitsSystemWindows = true
        setBackgroundColor(palette.paper)
        val bar = HorizontalScrollView(context).apply { isHorizontalScrollBarEnabled = false; addView(tabs) }
        addView(bar, MATCH_PARENT, WRAP_CONTENT)
        addView(content, LinearLayout.LayoutParams(MATCH_PARENT, 0, 1f))
    }

    private companion object {
        const val SHOWN = "shown"
        const val SESSIONS = "sessions"
        const val PADDING_DP = 10
        const val TICK_MILLIS = 50L
    }
}
