"""What is closed for a while: the whole service, or a part of it, now or at a time told before.

Owns the tables `maintenance_windows` and `maintenance_version`. Only new intents are refused; see `model.CLOSES`.
"""
