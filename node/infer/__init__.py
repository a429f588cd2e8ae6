"""From MR volume to synthetic CT: manifest, session, tiles, quality."""
