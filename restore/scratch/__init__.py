"""Persistent vertical scratches: lines that stand still while the picture moves behind them."""
