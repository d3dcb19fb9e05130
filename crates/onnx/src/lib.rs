//! ONNX importer: int8 models to tensor programs.
