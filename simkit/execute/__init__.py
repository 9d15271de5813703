"""Where do runs happen?

An `Engine` executes what an `Agenda` hands out, portion by portion, and gives batches: `Here`, in the owner, or
`processes`, which supervises workers. A `Job` is what a process needs for that. The room knows neither files nor the
story of a study. A new engine stands beside these two and passes `simkit.testing.engines`.
"""
