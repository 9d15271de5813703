"""Where do runs happen?

An `Engine` executes what an `Agenda` hands out and gives batches: `here`, in the owner, or in supervised
`processes`. It knows neither files nor the story of a study. A new engine stands beside these two.
"""
