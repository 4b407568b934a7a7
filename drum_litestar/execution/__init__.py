"""How calls reach the model: admission, queue, batching, streams, deadlines.

An executor takes a call and gives a reply. It knows neither HTTP nor what a predictor does with the bytes.
"""
