"""A node under every fault a hospital's machines have, and a judge that reads what came of it."""
