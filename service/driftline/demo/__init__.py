"""The demo: a year of flights through real processes that are killed, a retraining, and an audit of every event."""
