"""What a large archive costs."""
