"""The story of Livewall in real browsers: real server, real PostgreSQL, real moving video."""
