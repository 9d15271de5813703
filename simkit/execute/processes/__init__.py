"""How do runs happen in processes that may die?

A `pool` of workers, each under supervision; a `nursery` starts them, `worker` says what one does and how batches
travel. Reached through the engines of `execute` only.
"""
