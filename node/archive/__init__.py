"""What the node has stored: files on disk, and the database that knows them."""
