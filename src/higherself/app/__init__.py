"""The composition root: settings, wiring, health. The only place that knows every adapter."""
