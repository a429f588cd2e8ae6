"""The main job shown once, end to end, on a generated head."""
