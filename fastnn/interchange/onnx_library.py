"""The onnx library, which the extra "onnx" installs."""

try:
    import onnx
    from onnx.reference import ReferenceEvaluator
except ModuleNotFoundError as error:
    raise ImportError("ONNX files need the onnx library: pip install 'fastnn-kernels[onnx]'") from error

__all__ = ["ReferenceEvaluator", "onnx"]
