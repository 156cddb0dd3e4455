"""Commands that measure: nothing in the package imports them."""
