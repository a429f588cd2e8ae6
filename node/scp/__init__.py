"""Services we provide to other application entities."""
