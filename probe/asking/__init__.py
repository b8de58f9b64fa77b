"""Asking models and judging what they answer."""
