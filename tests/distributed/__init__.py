"""Several machines: process groups that share PostgreSQL and one folder."""
