"""The work that is measured: scenarios, model folders, requests."""
