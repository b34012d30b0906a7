"""The material: reels, shots, frames and time; reading, writing, and damage with known truth."""
