package dev.edgernn.demo

import android.os.Looper
import org.robolectric.Shadows.shadowOf
import java.util.concurrent.Executor
import kotlin.concurrent.thread

/** The app with the genuine LiteRT of this machine; background work waits until [finishJobs], and runs off the main thread. */
class TestApplication : DemoApplication() {
    private val jobs = ArrayDeque<Runnable>()

    /** Files opened, each with whether the main thread did it. */
    val opened = mutableListOf<Pair<String, Boolean>>()

    /** Put in the place of what a file holds. */
    val replaced = mutableMapOf<String, ByteArray>()

    override val background = Executor(jobs::add)
    override val engines = EngineFactory(::NativeEngine)
    override val files = Assets { path ->
        opened += path to (Looper.myLooper() == Looper.getMainLooper())
        replaced[path]?.inputStream() ?: assets.open(path)
    }

    fun finishJobs() {
        while (jobs.isNotEmpty()) thread(block = jobs.removeFirst()::run).join()
        shadowOf(Looper.getMainLooper()).idle()
    }
}
