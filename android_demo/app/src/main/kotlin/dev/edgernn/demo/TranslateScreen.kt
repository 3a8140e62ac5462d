package dev.edgernn.demo

import android.content.Context
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.text.InputType
import android.widget.EditText
import java.util.concurrent.Executor

/** A typed sentence, translated by the model with two signatures. */
class TranslateScreen(
    context: Context,
    private val session: TranslationSession,
    private val background: Executor,
) : Screen(context, "Translate") {
    private val main = Handler(Looper.getMainLooper())
    private val sentence = EditText(context).apply {
        hint = "An English sentence"
        inputType = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_FLAG_MULTI_LINE
        setText(session.sentence)
    }
    private val start = button("Translate") { translate() }
    private val result = label(20f)
    private val detail = label(13f, palette.faint)

    init {
        add(sentence)
        add(start)
        add(result)
        add(detail)
        refresh()
    }

    override fun save(into: Bundle) {
        session.sentence = sentence.text.toString()
    }

    private fun translate() {
        start.isEnabled = false
        val typed = sentence.text.toString()
        background.execute {
            session.translate(typed)
            main.post {
                start.isEnabled = true
                refresh()
            }
        }
    }

    private fun refresh() {
        result.text = session.translation
        detail.text = session.detail
    }
}
