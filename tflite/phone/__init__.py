"""What the Android app reads: artefacts, recorded telemetry, and what the model must say of it."""
