"""Wire formats: what a body means to policy, and how an answer tells what it used. No socket, no clock."""
