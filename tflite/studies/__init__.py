"""Measurements beyond one scenario, each printed and written below build/; README's tables are made of them."""
