"""What a receiving process writes down of who brings a series."""

import sqlalchemy as sa

from node.archive.evidence.holders import Holder
from node.archive.evidence.ledger import Ledger
from node.archive.evidence.offering import Offerings
from node.archive.files import Folder


def offerings_of(engine: sa.Engine, folder: Folder) -> Offerings:
    """What a receiving process writes into the ledger of the door."""
    return Offerings(Ledger(engine), Holder(folder))
