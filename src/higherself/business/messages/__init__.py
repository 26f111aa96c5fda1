"""Messages to people: written once in Markdown, shown by e-mail, Slack, SMS and Notion. Pure."""
