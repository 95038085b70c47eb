"""A small client of the Track API, six bugs of such clients, and the tests that catch them."""
