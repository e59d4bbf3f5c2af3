"""GGUF files: converted, quantised, and checked in the real llama.cpp."""
