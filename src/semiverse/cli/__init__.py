"""The command line: commands are typed functions, whose signatures are their options."""
