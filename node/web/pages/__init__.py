"""One module for each page, each with a ``router`` that `node.web.app` includes in one line."""
