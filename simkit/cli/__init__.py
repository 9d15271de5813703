"""What does the command `simkit` do?

Options, verbs (`verbs/`) and exit codes. A new verb is a module in `verbs/` with a `parser` and a `main`.
"""
