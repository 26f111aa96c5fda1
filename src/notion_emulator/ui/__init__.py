"""The viewer: what a person would see in Notion, drawn by the emulator itself."""
