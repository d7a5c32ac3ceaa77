"""Features for models: what was known of customers and products by the end of each day, made of gold in its own database.

tables   contracts and questions of the feature tables, and the schema that holds them
days     which days are due, and a day made again, in one transaction
"""
