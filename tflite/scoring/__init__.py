"""Back-testing: a converted model over recorded history, on Apache Beam."""
