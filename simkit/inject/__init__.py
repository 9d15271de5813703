"""What does one run receive?

An `Injector` is a `Plan` compiled: it takes run numbers and points, calls the experiment, and gives a `Batch` of
results. Beside it stand the ways in which values are made and protected (`provide`), random streams (`seeds`), what
is put back and watched between runs (`watch`), and what a run tells its owner while it computes (`contact`).

A new built-in argument goes to `provide`, a new kind of generator to `seeds`.
"""
