"""The line as durable workflows: intake, series, delivery, and the worker that runs them."""
