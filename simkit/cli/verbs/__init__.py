"""What can be done with files from the command line?

Each verb is a module with `parser()` and `main(options)`; `words` is what several of them say.
"""
