"""Jobs and the worker process that runs them, so that the viewer never waits for a network."""
