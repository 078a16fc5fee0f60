"""Reading what people type when they look for care: everyday words to whom, where and how."""
