"""The skills that come with the program."""
