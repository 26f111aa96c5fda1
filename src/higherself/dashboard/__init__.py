"""The pages: rendered on the server, readable without a script, in any browser and by ear."""
