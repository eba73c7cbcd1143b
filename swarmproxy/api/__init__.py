"""The Docker Engine API as clients see it: routes, versions, views and errors."""
