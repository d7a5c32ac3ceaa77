"""Pages for people: the Data Docs of every run.

data_docs   writes a run's pages and the front page into a folder
server      serves them, read-only
store       the same pages in the bucket of an s3a:// lake
"""
