"""``rush bench``: what this machine can do, and what of it a handler takes."""
