"""Publishing: a text in the form that each platform takes. Pure."""
