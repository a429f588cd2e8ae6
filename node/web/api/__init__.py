"""JSON for programs: series, decisions, models, the site."""
