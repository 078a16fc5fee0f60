"""Reads what people type when they look for care: from everyday words to whom, where and how."""
