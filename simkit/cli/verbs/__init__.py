"""What can be done with files from the command line?

Each verb is a module with `parser()` and `main(options)`, which returns the exit code; `words` is what they share:
which file is meant, tolerances, tables, and how values and commands are shown.
"""
