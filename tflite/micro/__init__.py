"""What an application of TensorFlow Lite Micro compiles in: the model, its operators, its arena, steps to check by."""
