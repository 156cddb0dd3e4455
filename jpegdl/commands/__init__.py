"""The commands of `python -m jpegdl`, a file each group: `add` says what a command takes, the rest does it."""
