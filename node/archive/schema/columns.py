"""What every table is built from: the metadata and the usual kinds of column."""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
UID = sa.String(64)


def id_column() -> sa.Column[int]:
    """The usual key."""
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def of(table: str, *, nullable: bool = False) -> sa.Column[int]:
    """The row of ``table`` it belongs to, and goes with."""
    column = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    name = {
        "series": "series_id",
        "runs": "run_id",
        "deliveries": "delivery_id",
        "accounts": "account_id",
        "corrections": "correction_id",
    }[table]
    return sa.Column(name, sa.Integer, column, nullable=nullable, index=True)


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    """A text, empty by default."""
    return sa.Column(name, sa.Text, nullable=nullable, server_default=None if nullable else "")


def time(name: str, *, nullable: bool = True) -> sa.Column[float]:
    """Seconds since 1970 UTC."""
    return sa.Column(name, sa.Float(53), nullable=nullable)


def json(name: str) -> sa.Column[Any]:
    """A JSON value, an empty object by default."""
    return sa.Column(name, sa.JSON, nullable=False, server_default="{}")


def number(name: str, default: int = 0) -> sa.Column[int]:
    """A whole number."""
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=str(default))
