"""Messages out: letters, notices to channels, webhooks, texts and files, each sent once and kept."""
