"""How does a trajectory look in a browser?

`application` answers each address of the page by opening the file, reading what is asked for, and closing it, so that
the page can't harm a study that writes the file meanwhile. It never imports the project's code.
"""
