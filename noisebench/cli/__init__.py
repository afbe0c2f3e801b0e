"""The command line, one file a verb. No logic here."""
