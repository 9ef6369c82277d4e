#!/usr/bin/env python3
"""Converts the EfficientNet-Lite0 checkpoint (legacy torch pickle) to safetensors; needs neither torch nor numpy.

    convert_efficientnet.py efficientnet-lite0-57934424.pth efficientnet_lite0.safetensors

The legacy format is five pickles in a row (magic number, protocol, system facts, state dict, storage keys), then for
each key an int64 element count and the raw little-endian values. The state dict does not hold values: each tensor is
(storage, offset, shape, strides), and these strides are not those of contiguous tensors, so the values are gathered.
Unpickling runs no code of the file: every global but the few named in ALLOWED is refused.
Output: float32, the state dict's names and order, contiguous; the int64 counters `num_batches_tracked` are left out.
"""
import collections
import json
import os
import pickle
import struct
import sys

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

Storage = collections.namedtuple("Storage", "key type")
Tensor = collections.namedtuple("Tensor", "storage offset shape strides")
ELEMENT_BYTES = {"FloatStorage": 4, "LongStorage": 8}


def rebuild_tensor(storage, offset, shape, strides, *_unused):
    return Tensor(storage, offset, tuple(shape), tuple(strides))


ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch", "FloatStorage"): "FloatStorage",
    ("torch", "LongStorage"): "LongStorage",
}


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise ValueError(f"the pickle asks for {module}.{name}: only plain tensors are read")
        return ALLOWED[module, name]

    def persistent_load(self, pid):
        kind, element, key, _device, _count, view = pid
        if kind != "storage" or view is not None:
            raise ValueError(f"the pickle refers to {pid}: only whole storages are read")
        return Storage(key, element)


def read_checkpoint(path):
    """Returns the state dict (name to Tensor) and the storages (key to a view of its elements)."""
    with open(path, "rb") as file:
        if Unpickler(file).load() != MAGIC or Unpickler(file).load() != PROTOCOL:
            raise ValueError("this is not a legacy torch checkpoint (magic number or protocol differs)")
        Unpickler(file).load()
        state = Unpickler(file).load()
        width = {t.storage.key: ELEMENT_BYTES[t.storage.type] for t in state.values()}
        storages = {}
        for key in Unpickler(file).load():
            (count,) = struct.unpack("<q", file.read(8))
            values = file.read(width[key] * count)
            if len(values) != width[key] * count:
                raise ValueError(f"storage {key} is cut off: {len(values)} bytes, expected {width[key] * count}")
            storages[key] = memoryview(values).cast("I" if width[key] == 4 else "Q")
    return state, storages


def gather(values, offset, shape, strides):
    """Yields the elements of a strided tensor in row-major order, as bytes of one innermost row at a time."""
    if not shape:
        yield values[offset:offset + 1].tobytes()
    elif len(shape) == 1:
        yield values[offset:offset + (shape[0] - 1) * strides[0] + 1:strides[0]].tobytes()
    else:
        for i in range(shape[0]):
            yield from gather(values, offset + i * strides[0], shape[1:], strides[1:])


def convert(source, target):
    state, storages = read_checkpoint(source)
    state = {name: tensor for name, tensor in state.items() if tensor.storage.type == "FloatStorage"}
    header, blocks, end = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in state.items():
        # Axes of one element are dropped: the innermost row of a 1x1 convolution is then its input channels.
        axes = [(n, s) for n, s in zip(tensor.shape, tensor.strides) if n != 1]
        shape, strides = [n for n, _ in axes], [s for _, s in axes]
        block = b"".join(gather(storages[tensor.storage.key], tensor.offset, shape, strides))
        count = 1
        for n in tensor.shape:
            count *= n
        if len(block) != 4 * count:
            raise ValueError(f"{name} reaches past the end of its storage: {len(block)} bytes, expected {4 * count}")
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(block)]}
        blocks.append(block)
        end += len(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(target + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blocks))
    os.replace(target + ".part", target)
    print(f"{target}: {len(state)} tensors, {end // 4} values")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: convert_efficientnet.py CHECKPOINT.pth OUT.safetensors")
    try:
        convert(sys.argv[1], sys.argv[2])
    except (OSError, ValueError, pickle.UnpicklingError, struct.error, EOFError, KeyError) as error:
        sys.exit(f"convert_efficientnet.py: {sys.argv[1]}: {error}")
