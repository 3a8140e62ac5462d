"""A `.tflite` of one time step as C99: tensors to memory, operators to statements, both to a header and a source."""
