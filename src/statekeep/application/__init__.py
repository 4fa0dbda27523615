"""What the product does: use cases over domain and ports."""
