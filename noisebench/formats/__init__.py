"""Bytes on disk: RecordIO, verification sets, JPEG. NumPy and OpenCV only, no torch."""
