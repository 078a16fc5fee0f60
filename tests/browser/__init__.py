"""The pages as people meet them: in a real browser, against a running system. Tests are named after the checklist."""
