"""Every way a step model can be run here: runtime and kernels."""

WAYS = {
    "litert-default": {"runtime": "litert", "kernels": "default"},
    "litert-builtin": {"runtime": "litert", "kernels": "builtin"},
    "litert-reference": {"runtime": "litert", "kernels": "reference"},
    "tflm": {"runtime": "tflm"},
}
