"""What a folder holds: guessed from its files, and written as a configuration that can be corrected."""
