"""The run: plan, measurement of each scenario, progress on the terminal."""
