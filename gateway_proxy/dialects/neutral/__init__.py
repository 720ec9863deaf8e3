"""The neutral form: what a chat means, whichever dialect it is written in. Plain values; each dialect reads and writes them."""
