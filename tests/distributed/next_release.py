"""The node as a next release would be whose durable steps have changed: its version is raised."""

import sys

from node.flow import engine

engine.APPLICATION_VERSION = str(int(engine.APPLICATION_VERSION) + 1)

if __name__ == "__main__":
    from node.cli import main

    sys.exit(main())
