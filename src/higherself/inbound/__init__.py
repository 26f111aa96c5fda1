"""What other systems announce to us: checked by their own signatures, stored once, read, put in order."""
