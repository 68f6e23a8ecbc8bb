"""What cores run: their program, the words in their memories, and how far an event reaches."""
