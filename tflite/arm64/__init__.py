"""What a phone's instruction set makes of a model: LiteRT and generated C on emulated ARM64."""
