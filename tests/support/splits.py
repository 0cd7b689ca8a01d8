"""Ways to cut a message: whatever is fed in pieces must mean the same as whole."""


def whole(data):
    return [data]


def thirds(data):
    size = max(1, -(-len(data) // 3))
    return [data[at : at + size] for at in range(0, len(data), size)]


def byte_by_byte(data):
    return [data[at : at + 1] for at in range(len(data))]


SPLITS = [whole, thirds, byte_by_byte]
