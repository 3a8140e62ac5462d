package dev.edgernn.demo

import android.os.Looper
import org.json.JSONObject
import org.robolectric.Shadows.shadowOf
import java.security.MessageDigest
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

    /** Puts a file in the place of one, and its sum into the index, as one who edits by hand would. */
    fun replace(path: String, content: ByteArray) {
        val (folder, name) = path.split("/")
        val index = JSONObject(String(replaced["index.json"] ?: assets.open("index.json").use { it.readBytes() }))
        val sum = MessageDigest.getInstance("SHA-256").digest(content).joinToString("") { "%02x".format(it) }
        index.getJSONObject("folders").getJSONObject(folder).put(name, sum)
        replaced["index.json"] = index.toString().toByteArray()
        replaced[path] = content
    }

    fun finishJobs() {
        while (jobs.isNotEmpty()) thread(block = jobs.removeFirst()::run).join()
        shadowOf(Looper.getMainLooper()).idle()
    }
}
