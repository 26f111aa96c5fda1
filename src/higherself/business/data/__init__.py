"""What is done to the facts of a small business: dates, telephone numbers, money, contacts, records. Pure."""
