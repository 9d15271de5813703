"""A scratch repository, used through the real git."""

from repositories import own_configuration, repo

__all__ = ["own_configuration", "repo"]
