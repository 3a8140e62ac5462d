package dev.edgernn.demo

import android.content.Context
import android.hardware.Sensor
import android.hardware.SensorEvent
import android.hardware.SensorEventListener
import android.hardware.SensorManager

/** The phone's own accelerometer (m/s²) and gyroscope (rad/s), as far as it has them. */
class Motion(context: Context) : SensorEventListener {
    private val manager = context.getSystemService(SensorManager::class.java)
    private val sensors = listOf(Sensor.TYPE_ACCELEROMETER, Sensor.TYPE_GYROSCOPE).mapNotNull(manager::getDefaultSensor)
    private val past = sensors.associate { it.type to ArrayDeque<FloatArray>() }

    val isPresent get() = sensors.isNotEmpty()

    /** The newest readings x, y, z of a sensor type; null where the phone has no such sensor. */
    fun history(type: Int): List<FloatArray>? = past[type]

    fun start() = sensors.forEach { manager.registerListener(this, it, SensorManager.SENSOR_DELAY_UI) }

    fun stop() = manager.unregisterListener(this)

    override fun onSensorChanged(event: SensorEvent) {
        val rows = past[event.sensor.type] ?: return
        rows.addLast(event.values.copyOf(3))
        if (rows.size > KEPT) rows.removeFirst()
    }

    override fun onAccuracyChanged(sensor: Sensor, accuracy: Int) = Unit

    companion object {
        const val KEPT = 300
    }
}
