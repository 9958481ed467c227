"""The commands that belong to no single room: flags and prints. Called by `cli`; nothing imports them back."""
