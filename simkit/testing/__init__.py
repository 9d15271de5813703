"""Does an extension keep to what simkit relies on? Suites of checks, for the tests of those who write one.

`codecs` checks that a codec keeps its values, `engines` that an engine executes runs.
"""
