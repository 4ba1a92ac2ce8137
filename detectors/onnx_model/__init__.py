"""Networks exported to ONNX: run by onnxruntime, forward only; gradients only where they are proven right."""
