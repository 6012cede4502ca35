"""A ModernBERT for long texts in the shape of mmBERT-small, with weights that mean nothing: what a run costs depends on
the shape alone. No such model with trained weights can be fetched as a package.
"""

from __future__ import annotations

import json
import random
import struct
from array import array
from math import prod
from pathlib import Path

#: As https://huggingface.co/jhu-clsp/mmBERT-small has it, but for the words, of which a run looks up a row each.
LAYERS, HIDDEN, HEADS, INNER = 22, 384, 6, 1152
WORDS = 16_384
LONGEST = 8_192


def tensors() -> "dict[str, tuple[int, ...]]":
    """The shapes of all weights, by name."""
    shapes: "dict[str, tuple[int, ...]]" = {
        "embeddings.tok_embeddings.weight": (WORDS, HIDDEN),
        "embeddings.norm.weight": (HIDDEN,),
        "final_norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        name = f"layers.{layer}"
        # The first layer's input is normalized already.
        if layer > 0:
            shapes[f"{name}.attn_norm.weight"] = (HIDDEN,)
        shapes[f"{name}.attn.Wqkv.weight"] = (3 * HIDDEN, HIDDEN)
        shapes[f"{name}.attn.Wo.weight"] = (HIDDEN, HIDDEN)
        shapes[f"{name}.mlp_norm.weight"] = (HIDDEN,)
        shapes[f"{name}.mlp.Wi.weight"] = (2 * INNER, HIDDEN)
        shapes[f"{name}.mlp.Wo.weight"] = (HIDDEN, INNER)
    return shapes


def write(folder: Path) -> None:
    """Writes `config.json` and `model.safetensors` into a new folder."""
    folder.mkdir()
    config = {
        "model_type": "modernbert", "architectures": ["ModernBertModel"], "vocab_size": WORDS, "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER, "pad_token_id": 0,
        "max_position_embeddings": LONGEST, "global_attn_every_n_layers": 3, "local_attention": 128,
        "global_rope_theta": 160_000.0, "local_rope_theta": 160_000.0, "hidden_activation": "gelu", "norm_eps": 1e-5,
    }
    (folder / "config.json").write_text(json.dumps(config))
    header: "dict[str, object]" = {}
    end = 0
    for name, shape in tensors().items():
        start, end = end, end + 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    source = random.Random(1)
    # As many as a row and one more, so that no two rows are alike.
    numbers = array("f", (source.gauss(0, 0.05) for _ in range(HIDDEN * 64 + 1)))
    block = numbers.tobytes()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        left = end
        while left > 0:
            left -= file.write(block[:left])
