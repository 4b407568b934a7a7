"""The work that is measured: scenarios, tables, model folders, requests."""
