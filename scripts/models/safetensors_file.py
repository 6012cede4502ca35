"""Writes safetensors files with Python's own library."""
import json
import struct


def write(weights, path):
    """weights: (shape, Float16 bytes) by name."""
    header, offset = {}, 0
    for name, (shape, data) in weights.items():
        header[name] = dict(dtype="F16", shape=shape, data_offsets=[offset, offset + len(data)])
        offset += len(data)
    text = json.dumps(header).encode()
    # The data begins at a multiple of eight.
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, data in weights.values():
            file.write(data)
