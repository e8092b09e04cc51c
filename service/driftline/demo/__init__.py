"""The demo: a year of real flights through real processes, two of which are killed, and an audit of every event."""
