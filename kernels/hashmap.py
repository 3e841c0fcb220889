"""A hash map from 64-bit keys to small integers in two arrays, with linear probing. It is built once, then only
read."""

import numpy as np

from kernels.jit import jit

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)  # marks an empty slot, and may not be a key


def build(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make the map of `keys` (u64 [n], distinct, none EMPTY) to `values` (i32 [n], not negative): u64 and i32 [slots],
    slots a power of two, at least half of them free."""
    slots = 1 << max(4, (2 * len(keys)).bit_length())
    slot_keys = np.full(slots, EMPTY, np.uint64)
    slot_values = np.full(slots, -1, np.int32)
    fill(keys.astype(np.uint64), values.astype(np.int32), slot_keys, slot_values)
    return slot_keys, slot_values


@jit
def fill(keys, values, slot_keys, slot_values):
    mask = np.uint64(len(slot_keys) - 1)
    for i in range(len(keys)):
        slot = mixed(keys[i]) & mask
        while slot_keys[slot] != EMPTY:
            slot = (slot + np.uint64(1)) & mask
        slot_keys[slot] = keys[i]
        slot_values[slot] = values[i]


@jit
def find(slot_keys, slot_values, key):
    """Return the value of `key` (u64), -1 if there is none."""
    mask = np.uint64(len(slot_keys) - 1)
    slot = mixed(key) & mask
    while slot_keys[slot] != key:
        if slot_keys[slot] == EMPTY:
            return np.int32(-1)
        slot = (slot + np.uint64(1)) & mask
    return slot_values[slot]


@jit
def mixed(x):
    """Mix x (u64) so that every bit depends on all: the first half of splitmix64's finalizer."""
    x = (x ^ (x >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    return x ^ (x >> np.uint64(29))
