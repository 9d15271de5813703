"""Do recorded runs give the same again?

`rerun` executes recorded runs with their own parameters and the present code, `verify` compares.
"""
