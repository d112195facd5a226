"""Part of pullback."""
