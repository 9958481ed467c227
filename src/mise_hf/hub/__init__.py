"""Publishing to the Hub and checking what comes from it: cards, manifest, one commit for everything or none.

Imports models, features and metrics; nothing imports this room but the command line.
"""
