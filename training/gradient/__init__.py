"""Reverse-mode differentiation of ONNX graphs: from `model.onnx` to the `explain.onnx` that serves explanations."""
