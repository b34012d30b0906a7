"""How far two ways to the same picture may differ where they cannot be bit-identical.

Film log or display units, largest difference of any pixel. Everything not named here is exact.
"""

TILED_NETWORK_CPU = 2e-6
"""Convolutions on the CPU are blocked by the size of the picture, which changes the order of
their sums. Measured 2.4e-7 (float32, x2, two layers of 8 features)."""

CUDA_PARITY = {
    "weave": 1e-5,
    "flicker": 1e-5,
    "fade": 1e-5,
    "color": 1e-5,
    "scratch": 1e-4,
    "dirt": 1e-3,
    "noise": 1e-3,
    "grain": 1e-6,
    "rebuild": 1e-5,
    "upscale": 1e-4,
    "fit": 1e-6,
}
"""CPU against CUDA by operator name; flow is found on the CPU on both."""
