"""Where do runs happen?

An `Engine` executes what an `Agenda` hands out, portion by portion, and gives batches: `Here`, in the owner;
`processes`, which supervises workers; `Futures`, whose tasks a `Transport` carries to guarded children anywhere.
A `Job` is what a process needs for that. The room knows neither trajectories nor the story of a study. A new engine
is a transport, or stands beside these three, and passes `simkit.testing.engines`.
"""
