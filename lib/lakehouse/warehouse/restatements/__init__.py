"""Days of sales that a publish restates.

record   written down as they change, in the transaction of the publish
"""
