"""Python's ONNX Runtime, on the same graphs as Sextant's engine: tells its version, reads `FILE TOKENS ROUNDS`, answers with JSON.

Run by the interpreter of .venv/onnxruntime (scripts/python-env onnxruntime).
"""

import json
import sys
import time

import numpy
import onnxruntime

print(json.dumps({"version": onnxruntime.__version__}), flush=True)
sessions = {}
for line in sys.stdin:
    file, tokens, rounds = line.split()
    if file not in sessions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Sextant turns this off too (Sources/COnnxRuntime says why); with it, Python takes about a third longer.
        options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
        sessions[file] = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    session = sessions[file]
    # The same as in Sources/classifier-probe/main.swift.
    ids = [101] + [1000 + index * 37 % 15_000 for index in range(int(tokens) - 2)] + [102]
    columns = {
        "input_ids": ids,
        "attention_mask": [1] * len(ids),
        "token_type_ids": [0] * len(ids),
        "position_ids": list(range(len(ids))),
    }
    kinds = {"tensor(int64)": numpy.int64, "tensor(int32)": numpy.int32}
    feed = {one.name: numpy.array([columns[one.name]], dtype=kinds[one.type]) for one in session.get_inputs()}
    for _ in range(min(3, int(rounds))):
        session.run(None, feed)
    wall, cpu = [], []
    for _ in range(int(rounds)):
        start = (time.perf_counter(), time.thread_time())
        session.run(None, feed)
        wall.append((time.perf_counter() - start[0]) * 1000)
        cpu.append((time.thread_time() - start[1]) * 1000)
    print(json.dumps({"wall": wall, "cpu": cpu}), flush=True)
