"""XOR masking of payloads (RFC 6455 section 5.3).

The C function of the `websockets` package is used where it is installed (the extra ``fast``): 0.3
µs for 2 kB against 8.6 µs for the big-integer XOR below, which is always there.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["apply_mask", "apply_mask_in_python"]


def apply_mask_in_python(data: bytes, mask: bytes) -> bytes:
    """XOR ``data`` with the four bytes of ``mask``, repeated; masking and unmasking are one."""
    size = len(data)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(
        size, "little"
    )


apply_mask: Callable[[bytes, bytes], bytes]
try:
    from websockets.speedups import apply_mask
except ImportError:
    apply_mask = apply_mask_in_python
