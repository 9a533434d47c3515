"""Measurements through the product itself, with the figures of production."""
