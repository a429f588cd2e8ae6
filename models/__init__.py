"""Training, evaluation and export of generators; torch lives only here."""
