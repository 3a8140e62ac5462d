"""Generated C on bare metal: images for six Cortex-M cores, run under QEMU, checked against TensorFlow Lite Micro."""
