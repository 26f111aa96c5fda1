"""The workflow engine: durable state machines that people can see."""
