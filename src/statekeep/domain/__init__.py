"""What the product is: values and rules. Pure: no I/O, no clock, no chance, no event loop."""
