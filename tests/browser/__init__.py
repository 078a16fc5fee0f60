"""The pages as people meet them: in a real browser, against a running system. Numbers: docs/checklists.md."""
