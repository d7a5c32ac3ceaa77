"""What is kept, and where.

place       files by key, in a folder or a bucket
manifest    what a backup says of itself, and the list of the lake's files
lake        the lake's files, copied and brought back
choice      which of them a moment asks for
prune       which backups are kept
"""
