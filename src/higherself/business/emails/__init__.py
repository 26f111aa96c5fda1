"""E-mails as Markdown, each a file whose first line is its subject."""
