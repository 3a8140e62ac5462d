"""The preprocess stage against scripts for the same rows, written by hand in pyarrow with numpy and in polars."""
