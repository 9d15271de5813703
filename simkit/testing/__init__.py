"""Does an extension keep to what simkit relies on? Suites of checks, for the tests of those who write one.

`engines` checks an engine.
"""
