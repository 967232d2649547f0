"""Downloads: which datasets are openly available, fetched, verified and unpacked."""
