"""The streaming door: answers as Claude writes them."""
