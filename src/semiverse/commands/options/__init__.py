"""Options of the commands: what there is, what was given, what is wrong with it, and help."""
