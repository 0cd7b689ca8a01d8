"""Development: what helps while a program is being written, and is never there in production."""
