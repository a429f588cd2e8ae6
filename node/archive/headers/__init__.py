"""What a raw data set says of itself, without decoding it, and how queries match it."""
