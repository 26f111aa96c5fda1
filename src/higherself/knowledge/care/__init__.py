"""Care of the store: find what does not fit together, say so in a sentence, and mend it."""
