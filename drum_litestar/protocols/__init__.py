"""Other protocols than DRUM's: their requests as calls of the model, and the answers in their form. It may not know
worker processes, a concrete predictor, or the launcher."""
