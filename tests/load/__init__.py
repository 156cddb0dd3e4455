"""What the server bears, tried by hand and in small by the tests: `python -m tests.load --help`.

Loopback only, bounded in count and in time. Each command writes its table into docs/reliability.md.
"""
