"""Under which circumstances did something run, and can they be had again?

`circumstances` asks git, the environment and the sources; `changes` compares two sessions; `restore` brings the
recorded sources back; `labbook` tells Sumatra.
"""
